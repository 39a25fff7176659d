# The door for node-gyp and for tools that look for this file; CMakeLists.txt describes the build.
{
  "targets": [
    {
      "target_name": "bitwright",
      "type": "none",
      "actions": [
        {
          "action_name": "build",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/bitwright.node"],
          "action": ["node", "scripts/install.mjs", "--required"]
        }
      ]
    }
  ]
}
