"""Judges documents, given as `JUDGE=PATH`, by the tools of their projects: a line `ok` each, or what is wrong."""

import json
import sys


def spdx(path):
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    messages = validate_full_spdx_document(parse_file(path))
    return [f"{one.context.spdx_id}: {one.validation_message}" for one in messages]


def ntia(path):
    from ntia_conformance_checker import SbomChecker

    return [] if SbomChecker(path, compliance="ntia").compliant else ["not compliant"]


def cyclonedx(path):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with open(path, encoding="utf-8") as file:
        text = file.read()
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    error = JsonStrictValidator(version).validate_str(text)
    return [] if error is None else [str(error)[:300]]


for pair in sys.argv[1:]:
    judge, path = pair.split("=", 1)
    try:
        problems = {"spdx": spdx, "ntia": ntia, "cyclonedx": cyclonedx}[judge](path)
    except ImportError:
        # A judge that is not there has judged nothing.
        raise
    except Exception as error:  # What a judge cannot read it refuses.
        problems = [f"{type(error).__name__}: {error}"[:300]]
    print(" ".join("; ".join(problems).split()) or "ok")
