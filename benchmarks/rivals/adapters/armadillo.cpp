// Armadillo's gmm_full and gmm_diag behind a C interface:
// g++ -O3 -march=native -fopenmp -shared -fPIC -DARMA_DONT_USE_WRAPPER armadillo.cpp -o armadillo.so -lopenblas
#include <armadillo>

namespace {

template <class Model, class T, class Covariances>
int climb(const T* rows, long n, long d, long k, T* weights, T* means, T* covariances, const Covariances& start,
          int iterations) {
  // (N, D) row by row is (D, N) column by column: no copy.
  const arma::Mat<T> data(const_cast<T*>(rows), d, n, false, true);
  Model model;
  model.set_params(arma::Mat<T>(means, d, k), start, arma::Row<T>(weights, k));
  const T floor = T(1e-10);
  if (!model.learn(data, k, arma::maha_dist, arma::keep_existing, 0, iterations, floor, false)) return 1;
  std::copy(model.hefts.begin(), model.hefts.end(), weights);
  std::copy(model.means.begin(), model.means.end(), means);
  if constexpr (std::is_same_v<Covariances, arma::Cube<T>>)
    std::copy(model.fcovs.begin(), model.fcovs.end(), covariances);
  else
    std::copy(model.dcovs.begin(), model.dcovs.end(), covariances);
  return 0;
}

template <class T>
int full(const T* rows, long n, long d, long k, T* weights, T* means, T* covariances, int iterations) {
  const arma::Cube<T> start(covariances, d, d, k);
  return climb<arma::gmm_priv::gmm_full<T>>(rows, n, d, k, weights, means, covariances, start, iterations);
}

template <class T>
int diag(const T* rows, long n, long d, long k, T* weights, T* means, T* covariances, int iterations) {
  const arma::Mat<T> start(covariances, d, k);
  return climb<arma::gmm_priv::gmm_diag<T>>(rows, n, d, k, weights, means, covariances, start, iterations);
}

}  // namespace

#define EXPORT(family, type)                                                                                          \
  extern "C" int family##_##type(const type* rows, long n, long d, long k, type* weights, type* means,                \
                                 type* covariances, int iterations) {                                                 \
    return family(rows, n, d, k, weights, means, covariances, iterations);                                            \
  }
EXPORT(full, double)
EXPORT(full, float)
EXPORT(diag, double)
EXPORT(diag, float)

extern "C" const char* version() {
  static const std::string text = arma::arma_version::as_string();
  return text.c_str();
}
