// The account "disorder" of dualtrace.calibration, written for Stan: one effect per disorder, partially pooled; numbers,
// intervals and directions. What a trial's rows share is a parameter here and an integral there. Findings on when the drug
// helps are statistics of which this account expects 0; trials differ in them as in the effect itself.
data {
  int<lower=1> R;  // rows
  int<lower=1> T;  // trials
  int<lower=1> D;  // disorders
  real<lower=0, upper=1> rho;
  vector[R] y;
  vector<lower=0>[R] v;
  vector[R] lower_end;
  vector[R] upper_end;
  vector[R] factor;  // pi / sqrt(3) for log odds ratios
  vector<lower=0>[R] patients;  // per arm, of a finding on when the drug helps; 0 for an effect
  int<lower=0, upper=3> kind[R];  // 0 number, 1 interval, 2 bounded above, 3 bounded below
  int<lower=1, upper=T> trial[R];
  int<lower=1, upper=D> disorder[R];
}
parameters {
  real<lower=0, upper=0.8> heterogeneity;
  real mean_effect;
  real<lower=0, upper=0.8> disorder_effect_sd;
  vector[D] effect;
  vector[T] common;
}
model {
  mean_effect ~ normal(0, 0.5);
  effect ~ std_normal();
  common ~ std_normal();
  for (r in 1:R) {
    real m = 0;
    real own = sqrt(1 + square(heterogeneity) * patients[r] / 2);
    if (patients[r] == 0) {
      real s = sqrt(rho * v[r] + square(factor[r] * heterogeneity));
      m = factor[r] * (mean_effect + disorder_effect_sd * effect[disorder[r]]) + s * common[trial[r]];
      own = sqrt((1 - rho) * v[r]);
    }
    if (kind[r] == 0) target += normal_lpdf(y[r] | m, own);
    else if (kind[r] == 1) target += log_diff_exp(normal_lcdf(upper_end[r] | m, own), normal_lcdf(lower_end[r] | m, own));
    else if (kind[r] == 2) target += normal_lcdf(upper_end[r] | m, own);
    else target += normal_lccdf(lower_end[r] | m, own);
  }
}
