# An R process that runs mclust's em(). Each line of standard input is a command:
#   load FOLDER      read sizes.txt and rows, weights, means, covariances (.bin, doubles, column by column)
#   run N FILE       N iterations; writes weights, means and covariances
suppressMessages(library(mclust))
input <- file("stdin")
open(input)
say <- function(...) {
  cat(..., "\n")
  flush(stdout())
}
say(as.character(packageVersion("mclust")))
repeat {
  words <- strsplit(readLines(input, 1), " ")[[1]]
  if (length(words) == 0) break
  if (words[1] == "load") {
    take <- function(name, count) readBin(file.path(words[2], paste0(name, ".bin")), "double", count)
    sizes <- scan(file.path(words[2], "sizes.txt"), what = "", quiet = TRUE)
    n <- as.integer(sizes[1]); d <- as.integer(sizes[2]); k <- as.integer(sizes[3]); family <- sizes[4]
    rows <- matrix(take("rows", n * d), n, d)
    model <- c(full = "VVV", diag = "VVI", tied = "EEE")[[family]]
    variance <- list(modelName = model, d = d, G = k)
    if (family == "full") {
      variance$sigma <- array(take("covariances", k * d * d), c(d, d, k))
      variance$cholsigma <- array(apply(variance$sigma, 3, chol), c(d, d, k))
    } else if (family == "diag") {
      diagonals <- matrix(take("covariances", k * d), d, k)
      variance$scale <- exp(colMeans(log(diagonals)))
      variance$shape <- sweep(diagonals, 2, variance$scale, "/")
    } else {
      variance$Sigma <- matrix(take("covariances", d * d), d, d)
      variance$cholSigma <- chol(variance$Sigma)
    }
    start <- list(pro = take("weights", k), mean = matrix(take("means", k * d), d, k), variance = variance)
    invisible(gc())
    say("loaded")
  } else {
    count <- as.integer(words[2])
    found <- em(rows, model, start, control = emControl(tol = c(0, 0), itmax = c(count, count)))
    parameters <- found$parameters
    covariances <- switch(family,
      full = parameters$variance$sigma,
      diag = sweep(parameters$variance$shape, 2, parameters$variance$scale, "*"),
      tied = parameters$variance$Sigma
    )
    out <- file(words[3], "wb")
    for (part in list(parameters$pro, parameters$mean, covariances)) writeBin(as.double(part), out)
    close(out)
    say(abs(attr(found, "info")[["iterations"]])) # negative: it ended at the limit
    rm(found)
  }
}
