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
