"""Pictures made small for lists."""

from __future__ import annotations


def shrink(jpeg: bytes, *, width: int) -> bytes | None:
    """A JPEG picture `width` pixels wide, or as it is where it is no wider; None where it is damaged."""
    import cv2  # which web processes load only when somebody looks at such a list
    import numpy as np

    data = np.frombuffer(jpeg, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2)
    if picture is None:
        return None
    if 2 * picture.shape[1] <= width:
        return jpeg
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return encoded.tobytes() if done else None
