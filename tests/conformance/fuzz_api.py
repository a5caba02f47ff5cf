"""What schemathesis does besides: marks the text of bodies, so that a log can be searched for it, and fails on what no
client may be able to cause."""

import schemathesis

# In every second body that is an object. No log line may hold it.
MARK = "claim-that-no-log-holds"


def marked(value, depth=0):
    if depth > 6:
        return value
    if isinstance(value, str):
        return value + MARK
    if isinstance(value, list):
        return [marked(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {name: marked(one, depth + 1) for name, one in value.items()}
    return value


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and sum(len(str(name)) for name in body) % 2:
        return {**body, "claims": {"secret": MARK}, "credential": {"name": MARK}} if not body else marked(body)
    return body


@schemathesis.check
def answers(ctx, response, case):
    """500 is a defect. 503 (the ledger cannot do it now) and 501 are answers."""
    assert response.status_code not in (500, 502, 504), f"{response.status_code}: {response.text[:300]}"
    assert "x-request-id" in response.headers, "an answer without an identifier"
