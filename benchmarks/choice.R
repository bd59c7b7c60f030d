# mclust's whole table in an R process:  Rscript choice.R ROWS.bin N D LARGEST MODELS OUT.txt
# Writes the seconds that mclustBIC took, and a line "G model BIC" (larger is better there) for each cell that it fitted.
suppressMessages(library(mclust))
words <- commandArgs(trailingOnly = TRUE)
n <- as.integer(words[2]); d <- as.integer(words[3]); largest <- as.integer(words[4])
models <- strsplit(words[5], ",")[[1]]
rows <- matrix(readBin(words[1], "double", n * d), n, d)
set.seed(0)
taken <- system.time(table <- mclustBIC(rows, G = 1:largest, modelNames = models, verbose = FALSE))[["elapsed"]]
out <- file(words[6], "w")
writeLines(c(as.character(packageVersion("mclust")), format(taken, digits = 6)), out)
for (g in rownames(table)) for (model in colnames(table))
  if (is.finite(table[g, model])) writeLines(sprintf("%s %s %.17g", g, model, table[g, model]), out)
close(out)
