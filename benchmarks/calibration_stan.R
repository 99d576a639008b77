# Samples calibration_disorder.stan: Rscript calibration_stan.R MODEL DATA.csv OUT.csv CHAINS WARMUP DRAWS SEED
# Writes the draws, chain by chain, and prints version and CPU seconds of sampling (warm-up included, compiling not).
a <- commandArgs(TRUE)
suppressMessages(library(rstan))
if (!nzchar(system.file("include", package = "BH"))) rstan_options(boost_lib = "/usr/include")  # Debian keeps Boost there
d <- read.csv(a[2])
model <- stan_model(a[1])
data <- list(R = nrow(d), T = max(d$trial), D = d$disorders[1], rho = d$rho[1], y = d$y, v = d$v,
  lower_end = d$lower, upper_end = d$upper, factor = d$factor, patients = d$patients, kind = d$kind,
  trial = d$trial, disorder = d$disorder)
chains <- as.integer(a[4]); warmup <- as.integer(a[5]); draws <- as.integer(a[6])
fit <- sampling(model, data = data, chains = chains, warmup = warmup, iter = warmup + draws, seed = as.integer(a[7]),
  cores = 1, refresh = 0, control = list(adapt_delta = 0.9))
x <- extract(fit, pars = c("heterogeneity", "mean_effect", "disorder_effect_sd", "effect"), permuted = FALSE)
out <- do.call(rbind, lapply(seq_len(chains), function(i) cbind(chain = i, as.data.frame(x[, i, ]))))
write.csv(out, a[3], row.names = FALSE)
cat(as.character(packageVersion("rstan")), sum(get_elapsed_time(fit)), get_num_divergent(fit), "\n")
