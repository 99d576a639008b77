"""Published observations the first links are checked against (facts, not parameters)."""

from __future__ import annotations

from typing import NamedTuple


class SteadyRegimen(NamedTuple):
    """One row of Alghamdi's Table 3: amounts in turn, interval, published means at steady state."""

    label: str
    amounts_mg: tuple[float, ...]
    interval_h: float
    peak_mg_L: float  # noqa: N815
    area_mg_h_L: float  # noqa: N815


ALGHAMDI_TABLE_3 = (
    SteadyRegimen("250 mg qd", (250.0,), 24.0, 16.4, 259.5),
    SteadyRegimen("250 mg bid", (250.0,), 12.0, 26.4, 516.7),
    SteadyRegimen("250 mg tid", (250.0,), 8.0, 35.5, 737.7),
    SteadyRegimen("250 mg qid", (250.0,), 6.0, 44.4, 945.1),
    SteadyRegimen("500 mg qd", (500.0,), 24.0, 32.7, 519.0),
    SteadyRegimen("500 mg bid", (500.0,), 12.0, 52.9, 1033.4),
    SteadyRegimen("500 mg tid", (500.0,), 8.0, 71.0, 1475.4),
    SteadyRegimen("500 mg qid", (500.0,), 6.0, 88.8, 1890.1),
    SteadyRegimen("250/500 mg", (250.0, 500.0), 12.0, 42.2, 763.8),
    SteadyRegimen("750 mg qd", (750.0,), 24.0, 49.6, 789.5),
    SteadyRegimen("750 mg bid", (750.0,), 12.0, 78.4, 1527.5),
    SteadyRegimen("750 mg tid", (750.0,), 8.0, 106.5, 2215.0),
)
"""Means of 1,000 simulated TB patients (doi 10.1128/AAC.00055-19), read from a transcription."""

ALGHAMDI_WEIGHT_KG = (58.0, 12.2)
ALGHAMDI_CRCL_ML_MIN = (89.1, 31.9)
ALGHAMDI_CORRELATION = 0.4
"""Mean and SD (IQR/1.349) of weight and creatinine clearance of those patients; assumed correlation."""

ZHU_TMAX_FASTED_H = 1.1
ZHU_TMAX_RATIO_HIGH_FAT = 4.7
"""Zhu 2001, 500 mg in 12 healthy volunteers (doi 10.1592/phco.21.11.891.34524)."""

KEMPKER_CSF_OVER_SERUM = ((2.0, 0.52), (6.0, 0.66))
"""Hours after the dose and CSF/serum, five patients with TB meningitis (doi 10.1093/cid/ciab992)."""

DSERINE_PEAKS_UM = ((30.0, 120.6), (60.0, 272.3), (120.0, 530.3))
"""Dose (mg/kg) and mean peak (uM), Kantrowitz 2010 (doi 10.1016/j.schres.2010.05.012)."""

ALGHAMDI_PATIENTS = 1000
"""Simulated patients behind each mean of Table 3."""

ALGHAMDI_DOSES_BEFORE = 10
"""Doses before the observed day that Table 3 agrees with, inferred here: the number at which the surplus over
the published areas is the same for all twelve regimens. The text that was read does not state it."""

ALGHAMDI_PEAK_MG_L = (7.5, 26.5, 97.9)
"""Lowest, median and highest observed peak of 235 TB or NTM patients on 250 to 1000 mg (same paper)."""

TAIWAN_LEVELS_MG_L = ((2.0, 19.7, 8.3), (6.0, 18.1, 8.7))
TAIWAN_MG_PER_KG = 8.8
"""Hours after the dose, mean and SD; 32 MDR-TB patients, Int J Tuberc Lung Dis 2014, 18:601; abstract."""

GALIEN_AREA_MG_H_L = 888.0
GALIEN_PEAK_MG_L = 23.31
GALIEN_MG_PER_KG = 11.5
"""Medians over 24 h of 15 patients on one dose a day (van der Galien 2020, doi 10.1007/s40262-020-00860-8);
area over 24 h exceeds the peak: both cannot hold in the same patients."""

LOKHANDE_PEAK_MG_L = 16.0
LOKHANDE_AREA_8_H_MG_H_L = 121.17
"""Median level at 2 h (its peak) and area to 8 h of Indian MDR-TB patients, mostly fed; the dose is not in the
abstract (Lokhande et al., synapsesocial.com/hi/papers/69a765d0badf0bb9e87da8b0)."""

KOREA_MEDIAN_MG_L = 14.9
"""Median of 52 samples 2 to 6 h after the dose, 29 MDR-TB patients, dose not in the abstract
(happyhaksul.com/ksdata/3158071)."""

LOW_DOSES_MG = (15.0, 50.0, 150.0)
"""Healthy men to 240 min: plasma rises in the order of dose, no numbers (doi 10.1016/S0893-133X(96)00196-0)."""

LABEL_STEADY_MG_L = (25.0, 30.0)
LABEL_PEAK_TIME_H = (4.0, 8.0)
LABEL_HALF_ELIMINATED_H = 12.0
"""Product label: level on 250 mg twice daily; time of peak; hours by which half a dose is eliminated."""
