"""Pictures to log: arrays as Pillow images, thumbnails, and the file names that MLflow's UI reads."""

import re
import uuid
import warnings
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError, MissingDependencyError

THUMBNAIL_PIXELS = 256
_KEY = re.compile(r"[a-zA-Z0-9_\-./ ]+")
_CHANNELS = (1, 3, 4)


class Image:
    """A picture made of what pictures are made of: a file's path, a Pillow image, an array or nested lists."""

    def __init__(self, image: Any) -> None:
        """Take a picture; see `to_image` for arrays.

        Raises:
            InvalidParameterError: it is no picture.
        """
        if isinstance(image, (str, Path)):
            self.image: Any = _open(Path(image))
        elif isinstance(image, list):
            import numpy as np

            self.image = to_image(np.array(cast("list[Any]", image)))
        else:
            self.image = to_image(image)

    def to_pil(self) -> Any:
        return self.image

    def to_array(self) -> Any:
        import numpy as np

        return np.array(self.image)

    def to_list(self) -> list[Any]:
        return self.to_array().tolist()

    def save(self, path: str | Path) -> None:
        self.image.save(path)

    def resize(self, size: tuple[int, int]) -> "Image":
        """Return the picture in another size: width, height."""
        return Image(self.image.resize(size))


def _open(path: Path) -> Any:
    try:
        from PIL import Image as Pillow
        from PIL import UnidentifiedImageError
    except ImportError as error:
        raise MissingDependencyError("Images need Pillow: pip install pillow.") from error
    try:
        picture = Pillow.open(path)
        picture.load()
    except (UnidentifiedImageError, OSError) as error:
        raise InvalidParameterError(f"'{path}' cannot be read as a picture: {error}.") from error
    return picture


def to_image(image: Any) -> Any:
    """Return a Pillow image made from a Pillow image, a numpy array or an object with `to_pil()`.

    Arrays are (height, width) or (height, width, 1, 3 or 4 channels). Integers must be in 0..255, booleans
    and floats in 0..1 (floats beyond are scaled to their range, with a warning).

    Raises:
        InvalidParameterError: it is none of these, or the array's shape, type or values are no picture.
        MissingDependencyError: Pillow is not installed.
    """
    try:
        import PIL.Image
    except ImportError as error:
        raise MissingDependencyError("Images need Pillow: pip install pillow.") from error
    if isinstance(image, PIL.Image.Image):
        return image
    if callable(getattr(image, "to_pil", None)):
        return image.to_pil()
    import numpy as np

    if not isinstance(image, np.ndarray):
        raise InvalidParameterError(
            "An image must be a numpy array or a PIL.Image.Image, not "
            f"{type(image).__module__}.{type(image).__name__}."
        )
    array: Any = cast("Any", image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS):
        raise InvalidParameterError(
            "An image array must have the shape (height, width) or (height, width, 1, 3 or 4), "
            f"not {array.shape}."
        )
    if array.dtype.kind not in "biuf":
        raise InvalidParameterError(
            f"An image array must hold booleans, integers or floats, not {array.dtype}."
        )
    pixels = _to_bytes(array)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return PIL.Image.fromarray(pixels)


def _to_bytes(array: Any) -> Any:
    import numpy as np

    if array.size == 0:
        raise InvalidParameterError(f"An image array must not be empty; its shape is {array.shape}.")
    low, high = array.min(), array.max()
    if array.dtype.kind in "iu":
        if low < 0 or high > 255:
            raise InvalidParameterError(f"Integer pixels must be in 0..255; these are in {low}..{high}.")
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and not (low >= 0 and high <= 1):
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InvalidParameterError("Float pixels must be finite; these are not.")
        warnings.warn(
            f"Float pixels should be in 0..1; these are in {low}..{high} and are scaled to their range.",
            stacklevel=5,
        )
        array = (array - low) / ((high - low) or 1)
    return (array * 255).astype(np.uint8)


def thumbnail(image: Any) -> Any:
    """Return the image scaled so that its longer side has `THUMBNAIL_PIXELS`."""
    width, height = image.size
    scale = THUMBNAIL_PIXELS / max(width, height)
    return image.resize((max(1, int(width * scale)), max(1, int(height * scale))))


def series_paths(key: str, step: int, timestamp: int) -> tuple[str, str]:
    """Return the paths of a picture and of its thumbnail in the series `key`.

    Raises:
        InvalidParameterError: the key has other characters than letters, digits, `_ - . /` and blank.
    """
    if not _KEY.fullmatch(key):
        raise InvalidParameterError(
            f"Image key '{key}' may hold only letters, digits, underscores, dashes, periods, blanks "
            "and slashes."
        )
    stem = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{timestamp}+{uuid.uuid4()}"
    return stem + ".png", stem + "+compressed.webp"
