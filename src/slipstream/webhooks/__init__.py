"""Sending to webhooks: signed requests to hosts that anyone may name and few may be.

`secrets.py` keeps what is signed with, `signature.py` signs, `guarded_http.py` sends, `sending.py` does all three.
Which deliveries wait is the store's to know (`store/webhooks.py`), and when they are sent the server's
(`server/webhook_deliveries.py`).
"""
