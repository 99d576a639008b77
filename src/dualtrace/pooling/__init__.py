"""Effects to pooled answers: arrays in :func:`fit` and ``partial``, labelled effects in :func:`synthesise`."""

from dualtrace.pooling.synthesis import (
    GroupedSynthesis as GroupedSynthesis,
)
from dualtrace.pooling.synthesis import (
    Synthesis as Synthesis,
)
from dualtrace.pooling.synthesis import (
    by_disorder as by_disorder,
)
from dualtrace.pooling.synthesis import (
    regress as regress,
)
from dualtrace.pooling.synthesis import (
    synthesise as synthesise,
)
from dualtrace.pooling.univariate import fit as fit
