// JSON text for the few descriptions that cross the boundary.
#pragma once

#include <cstdio>
#include <string>

#include "ops/op.h"

namespace bitwright {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(const std::string& name) {
    value(name);
    text_ += ':';
    fresh_ = true;
    return *this;
  }
  JsonWriter& value(const std::string& text) {
    separate();
    text_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof(escape), "\\u%04x", c);
        text_ += escape;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
    return *this;
  }
  JsonWriter& value(const char* text) { return value(std::string(text)); }
  JsonWriter& value(bool flag) { return raw(flag ? "true" : "false"); }
  JsonWriter& value(int number) { return raw(std::to_string(number)); }
  // JSON that is text already.
  JsonWriter& raw(const std::string& json) {
    separate();
    text_ += json;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  void separate() {
    if (!fresh_) text_ += ',';
    fresh_ = false;
  }
  JsonWriter& open(char bracket) {
    separate();
    text_ += bracket;
    fresh_ = true;
    return *this;
  }
  JsonWriter& close(char bracket) {
    text_ += bracket;
    fresh_ = false;
    return *this;
  }

  std::string text_;
  bool fresh_ = true;
};

// Writes the members of an object that say what quantization does with a node's inputs; null where there is none.
inline void write_ports(JsonWriter& json, const Ports& ports) {
  const auto port = [&](const char* name, int index) {
    json.key(name);
    index < 0 ? json.raw("null") : json.value(index);
  };
  port("weightPort", ports.weight);
  port("channelAxis", ports.weight < 0 ? -1 : ports.channel_axis);
  port("biasPort", ports.bias);
  json.key("dataPorts").begin_array();
  for (int index : ports.data) json.value(index);
  json.end_array();
}

}  // namespace bitwright
