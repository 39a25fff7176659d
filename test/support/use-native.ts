process.env.BITWRIGHT_BACKEND = "native";
