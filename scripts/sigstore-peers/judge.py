"""Asks sigstore-python about bundles: one question a line on standard input, one verdict a line back.

A question is a JSON object: `bundle` (text), `root` (text), `artifact` (base64), and `identity` with
`issuer`; with `key` it is `unsupported`. A verdict is `ok`, or why not.
"""

import base64
import hashlib
import json
import logging
import pathlib
import sys
import tempfile

from sigstore import dsse
from sigstore.hashes import HashAlgorithm, Hashed
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy


def judge(question):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "root.json")
        path.write_text(question["root"])
        root = TrustedRoot.from_file(str(path))
    bundle = Bundle.from_json(question["bundle"])
    verifier = Verifier(trusted_root=root)
    wanted = policy.Identity(identity=question["identity"], issuer=question["issuer"])
    artifact = base64.b64decode(question["artifact"])
    # As its own command line does it.
    if bundle._dsse_envelope is None:
        verifier.verify_artifact(artifact, bundle, wanted)
        return
    kind, payload = verifier.verify_dsse(bundle, wanted)
    digest = hashlib.sha256(artifact).digest()
    hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
    if kind != dsse.Envelope._TYPE or not dsse.Statement(payload)._matches_digest(hashed):
        raise ValueError("the statement is not about the file")


def main():
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        question = json.loads(line)
        verdict = "ok"
        try:
            if "key" in question:
                raise ValueError("unsupported: managed keys")
            judge(question)
        except Exception as error:  # each failure is a verdict
            verdict = " ".join(f"{type(error).__name__}: {error}".split())
        print(verdict, flush=True)


main()
