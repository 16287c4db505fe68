"""The headers by which a receiver knows who sent a delivery, and that it has not seen it before."""

import base64
import hashlib
import hmac


def signed_headers(secret: str | None, delivery_id: str, timestamp: int, body: str) -> dict[str, str]:
    """Return the headers of a delivery, as MLflow names and signs them.

    Args:
        secret: what receiver and server share; without one there is no signature.
        delivery_id: the same at each attempt.
        timestamp: seconds, of this attempt: receivers refuse what was signed long ago.
        body: exactly what is sent.
    """
    headers = {
        "Content-Type": "application/json",
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": str(timestamp),
    }
    if secret:
        signed = f"{delivery_id}.{timestamp}.{body}".encode()
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
        headers["X-MLflow-Signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers
