// The elementary functions in float against the system's math library in double, in units of the last place.
#include "core/elementary_float.h"

#include <cmath>
#include <cstdio>

namespace {

using namespace bitwright;

int passed = 0, failed = 0;

void check(const char* name, bool ok, double received) {
  ok ? ++passed : ++failed;
  if (!ok) std::printf("%s: received %.9g\n", name, received);
}

double units_off(float received, double expected) {
  const auto nearest = static_cast<float>(expected);
  const double unit = static_cast<double>(std::nextafter(std::fabs(nearest), INFINITY)) - std::fabs(nearest);
  return std::fabs(received - expected) / unit;
}

// All scales up to `largest`, on both sides of zero, wherever the result is a normal number.
template <class Function, class Reference>
void compare(const char* name, float largest, Function function, Reference reference) {
  double worst = 0;
  for (float x = 1e-37f; x < largest; x *= 1.0001f) {
    if (std::fabs(reference(x)) > 1.2e-38) worst = std::fmax(worst, units_off(function(x), reference(x)));
    if (std::fabs(reference(-x)) > 1.2e-38) worst = std::fmax(worst, units_off(function(-x), reference(-x)));
  }
  check(name, worst <= 3, worst);
}

void same(const char* name, float received, float expected) {
  check(name, received == expected || (std::isnan(received) && std::isnan(expected)), received);
}

}  // namespace

int main() {
  compare("exp", 88, elementary_float::exp, [](double x) { return std::exp(x); });
  compare("log", 1e38f, elementary_float::log, [](double x) { return x > 0 ? std::log(x) : 0; });
  compare("tanh", 20, elementary_float::tanh, [](double x) { return std::tanh(x); });
  compare("erf", 8, elementary_float::erf, [](double x) { return std::erf(x); });
  compare("sigmoid", 80, elementary_float::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); });

  same("exp below all numbers", elementary_float::exp(-200), 0);
  same("exp beyond all numbers", elementary_float::exp(200), INFINITY);
  same("exp of infinity", elementary_float::exp(INFINITY), INFINITY);
  same("exp of the least infinity", elementary_float::exp(-INFINITY), 0);
  same("exp of NaN", elementary_float::exp(NAN), NAN);
  check("exp with a result below normal numbers", std::fabs(elementary_float::exp(-95) - std::exp(-95.0)) < 2e-45, elementary_float::exp(-95));
  same("log of zero", elementary_float::log(0), -INFINITY);
  same("log of a negative number", elementary_float::log(-1), NAN);
  same("log of infinity", elementary_float::log(INFINITY), INFINITY);
  same("log of NaN", elementary_float::log(NAN), NAN);
  check("log below normal numbers", units_off(elementary_float::log(1e-40f), std::log(static_cast<double>(1e-40f))) <= 3, elementary_float::log(1e-40f));
  same("tanh of infinity", elementary_float::tanh(-INFINITY), -1);
  same("tanh of NaN", elementary_float::tanh(NAN), NAN);
  same("erf of infinity", elementary_float::erf(INFINITY), 1);
  same("erf of NaN", elementary_float::erf(NAN), NAN);
  same("sigmoid of the least infinity", elementary_float::sigmoid(-INFINITY), 0);

  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
