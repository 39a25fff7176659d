// The elementary functions against the system's math library, in units of the last place of a double.
#include "core/elementary.h"

#include <cmath>
#include <cstdio>

namespace {

using namespace bitwright;

int passed = 0, failed = 0;

void check(const char* name, double worst, double limit) {
  const bool ok = worst <= limit;
  ok ? ++passed : ++failed;
  if (!ok) std::printf("%s: off by %.3g, at most %.3g is expected\n", name, worst, limit);
}

template <class Function, class Reference>
void compare(const char* name, double low, double high, double limit, Function function, Reference reference) {
  double worst = 0;
  for (int i = 0; i <= 100000; ++i) {
    const double x = low + (high - low) * i / 100000;
    const double expected = reference(x);
    const double scale = std::fabs(expected) < 1e-300 ? 1e-300 : std::fabs(expected);
    worst = std::fmax(worst, std::fabs(function(x) - expected) / scale);
  }
  check(name, worst, limit);
}

void same(const char* name, double value, double expected) {
  check(name, (std::isnan(value) && std::isnan(expected)) || value == expected ? 0 : 1, 0);
}

}  // namespace

int main() {
  constexpr double ulp = 2.3e-16;
  compare("exp", -700, 700, 2 * ulp, elementary::exp, [](double x) { return std::exp(x); });
  compare("log", 1e-3, 100, 3 * ulp, elementary::log, [](double x) { return std::log(x); });
  compare("tanh", -20, 20, 4 * ulp, elementary::tanh, [](double x) { return std::tanh(x); });
  compare("erf", -7, 7, 3 * ulp, elementary::erf, [](double x) { return std::erf(x); });
  compare("sigmoid", -30, 30, 4 * ulp, elementary::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); });
  compare("pow", 0.01, 50, 40 * ulp, [](double x) { return elementary::pow(x, 2.3); }, [](double x) { return std::pow(x, 2.3); });
  compare("pow of whole exponents", -50, 50, 20 * ulp, [](double x) { return elementary::pow(x, 7); }, [](double x) { return std::pow(x, 7); });
  const auto shifted_sin = [](double x) { return std::sin(x) + 2; };
  const auto shifted_cos = [](double x) { return std::cos(x) + 2; };
  compare("sin", -1e4, 1e4, 2 * ulp, [](double x) { return elementary::sin(x) + 2; }, shifted_sin);
  compare("cos", -1e4, 1e4, 2 * ulp, [](double x) { return elementary::cos(x) + 2; }, shifted_cos);

  same("exp below all numbers", elementary::exp(-1000), 0);
  same("exp beyond all numbers", elementary::exp(1000), INFINITY);
  same("exp of the smallest result", elementary::exp(-745), std::exp(-745));
  same("exp of NaN", elementary::exp(NAN), NAN);
  same("log of zero", elementary::log(0), -INFINITY);
  same("log of a negative number", elementary::log(-1), NAN);
  same("log of infinity", elementary::log(INFINITY), INFINITY);
  same("tanh of infinity", elementary::tanh(-INFINITY), -1);
  same("erf of infinity", elementary::erf(INFINITY), 1);
  same("odd power of a negative number", elementary::pow(-2, 3), -8);
  same("negative power of zero", elementary::pow(0, -1), INFINITY);
  same("broken power of a negative number", elementary::pow(-2, 0.3), NAN);
  same("zeroth power", elementary::pow(NAN, 0), 1);

  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
