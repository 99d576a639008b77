"""Files to records: trials, published poolings, instruments, references."""

from dualtrace.evidence.load import (
    instruments as instruments,
)
from dualtrace.evidence.load import (
    load as load,
)
from dualtrace.evidence.load import (
    published_poolings as published_poolings,
)
from dualtrace.evidence.load import (
    references as references,
)
from dualtrace.evidence.record import Disorder as Disorder
from dualtrace.evidence.record import Estimand as Estimand
from dualtrace.evidence.record import Timepoint as Timepoint
from dualtrace.evidence.record import Trial as Trial
