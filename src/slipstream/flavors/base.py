"""The flavor interface, for people who write flavors.

A flavor file defines one class with these members and ends with
`save_model, log_model, load_model = bind(MyFlavor())`.
"""

from slipstream.models.flavor import Flavor, Predictor, Saved
from slipstream.models.saving import bind

__all__ = ["Flavor", "Predictor", "Saved", "bind"]
