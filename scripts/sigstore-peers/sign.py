"""Has sigstore-python sign: the wish is one line on standard input, the bundle goes to standard output.

The wish is a JSON object: `trust_config` (text), `token`, `artifact` (base64), and `statement` if that
shall be signed instead of the file.
"""

import base64
import json
import sys

from sigstore import dsse
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

wish = json.loads(sys.stdin.readline())
context = SigningContext.from_trust_config(ClientTrustConfig.from_json(wish["trust_config"]))
with context.signer(IdentityToken(wish["token"])) as signer:
    if wish["statement"]:
        bundle = signer.sign_dsse(dsse.Statement(json.dumps(wish["statement"]).encode()))
    else:
        bundle = signer.sign_artifact(base64.b64decode(wish["artifact"]))
print(bundle.to_json())
