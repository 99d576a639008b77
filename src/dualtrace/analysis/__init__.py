"""Patient-level trial data analysed as trialists do, on plain arrays; closed forms take whole stacks of trials."""

from dualtrace.analysis.ancova import Ancova as Ancova
from dualtrace.analysis.ancova import ancova as ancova
from dualtrace.analysis.dropout import carried_forward as carried_forward
from dualtrace.analysis.mmrm import Mmrm as Mmrm
from dualtrace.analysis.mmrm import mmrm as mmrm
from dualtrace.analysis.moderation import Moderation as Moderation
from dualtrace.analysis.moderation import moderation as moderation
from dualtrace.analysis.proportions import Proportions as Proportions
from dualtrace.analysis.proportions import proportions as proportions
from dualtrace.analysis.session_moderation import SessionModeration as SessionModeration
from dualtrace.analysis.session_moderation import session_moderation as session_moderation
