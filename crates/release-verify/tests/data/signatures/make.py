#!/usr/bin/env python3
"""Makes the files in this folder with the real tools: OpenSSH, OpenSSL, minisign, signify, coreutils.

Run it in the folder. Private keys live in a temporary folder and are thrown away.
"""

import base64
import hashlib
import os
import pathlib
import struct
import subprocess
import tempfile

HERE = pathlib.Path.cwd()
KEYS = pathlib.Path(tempfile.mkdtemp())
CONTENT = b"The quick brown fox jumps over the lazy dog.\n" * 3


def run(*command, stdin=b"", where=HERE):
    done = subprocess.run(command, input=stdin, cwd=where, capture_output=True)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def write(name, content):
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def openssl():
    kinds = {
        "p256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "p521": ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        "k256": ["EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        "rsa2048": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "rsa1024": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
        "ed25519": ["ED25519"],
        "ed448": ["ED448"],
    }
    for name, arguments in kinds.items():
        key = KEYS / f"{name}.key"
        run("openssl", "genpkey", "-algorithm", *arguments, "-out", str(key))
        write(f"openssl/{name}.pem", run("openssl", "pkey", "-in", str(key), "-pubout"))
        if name in ("p256", "rsa2048", "ed25519"):
            write(f"openssl/{name}.der", run("openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"))
        if name == "rsa2048":
            write(f"openssl/{name}.pkcs1.pem", run("openssl", "rsa", "-in", str(key), "-RSAPublicKey_out"))
        if name.startswith("ed"):
            run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", "content", "-out", str(KEYS / "sig"))
            write(f"openssl/{name}.sig", (KEYS / "sig").read_bytes())
            continue
        for digest in ("sha1", "sha256", "sha384", "sha512"):
            sign = run("openssl", "dgst", f"-{digest}", "-sign", str(key), "content")
            write(f"openssl/{name}.{digest}.sig", sign)
            if name == "rsa2048":
                sign = run("openssl", "dgst", f"-{digest}", "-sign", str(key), "-sigopt", "rsa_padding_mode:pss",
                           "-sigopt", "rsa_pss_saltlen:digest", "content")
                write(f"openssl/{name}.{digest}.pss.sig", sign)


def ssh():
    allowed = b""
    for name, arguments in {
        "ed25519": ["-t", "ed25519"],
        "ecdsa256": ["-t", "ecdsa", "-b", "256"],
        "ecdsa384": ["-t", "ecdsa", "-b", "384"],
        "ecdsa521": ["-t", "ecdsa", "-b", "521"],
        "rsa3072": ["-t", "rsa", "-b", "3072"],
    }.items():
        key = KEYS / f"ssh-{name}"
        run("ssh-keygen", "-q", *arguments, "-N", "", "-C", f"{name}@example.org", "-f", str(key))
        public = key.with_suffix(".pub").read_bytes()
        allowed += f"{name}@example.org ".encode() + public
        write(f"ssh/{name}.pub", public)
        for digest in ("sha256", "sha512"):
            signature = run("ssh-keygen", "-Y", "sign", "-n", "file", "-O", f"hashalg={digest}", "-f", str(key), stdin=CONTENT)
            write(f"ssh/{name}.{digest}.sig", signature)
        write(f"ssh/{name}.fingerprint", run("ssh-keygen", "-l", "-f", str(key.with_suffix(".pub"))))
    key = str(KEYS / "ssh-ed25519")
    write("ssh/git-namespace.sig", run("ssh-keygen", "-Y", "sign", "-n", "git", "-f", key, stdin=CONTENT))
    for name, public, signature in security_keys():
        line = f"{name}@example.org {public}\n".encode()
        allowed += line
        write(f"ssh/{name}.pub", f"{public} {name}@example.org\n".encode())
        write(f"ssh/{name}.sha512.sig", signature)
    write("ssh/allowed_signers", allowed)
    # What is made by hand here, OpenSSH must take.
    for name in ("sk-ed25519", "sk-ecdsa"):
        run("ssh-keygen", "-Y", "verify", "-f", "ssh/allowed_signers", "-I", f"{name}@example.org",
            "-n", "file", "-s", f"ssh/{name}.sha512.sig", stdin=CONTENT)


def string(value):
    return struct.pack(">I", len(value)) + value


def mpint(value):
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def security_keys():
    """Signatures as security keys make them (PROTOCOL.u2f), with OpenSSL in place of the device."""
    application = b"ssh:"
    message = b"SSHSIG" + b"".join(map(string, (b"file", b"", b"sha512", hashlib.sha512(CONTENT).digest())))
    flags, counter = b"\x01", struct.pack(">I", 42)
    signed = hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(message).digest()
    (KEYS / "signed").write_bytes(signed)

    key = str(KEYS / "ed25519.key")
    raw = run("openssl", "pkey", "-in", key, "-pubout", "-outform", "DER")[-32:]
    run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", str(KEYS / "signed"), "-out", str(KEYS / "sig"))
    kind = b"sk-ssh-ed25519@openssh.com"
    public = string(kind) + string(raw) + string(application)
    yield "sk-ed25519", *armor(kind, public, string((KEYS / "sig").read_bytes()) + flags + counter)

    key = str(KEYS / "p256.key")
    raw = run("openssl", "pkey", "-in", key, "-pubout", "-outform", "DER")[-65:]
    der = run("openssl", "dgst", "-sha256", "-sign", key, str(KEYS / "signed"))
    first = der[4 : 4 + der[3]]
    second = der[6 + der[3] :]
    numbers = b"".join(mpint(int.from_bytes(part, "big")) for part in (first, second))
    kind = b"sk-ecdsa-sha2-nistp256@openssh.com"
    public = string(kind) + string(b"nistp256") + string(raw) + string(application)
    yield "sk-ecdsa", *armor(kind, public, string(numbers) + flags + counter)


def armor(kind, public, signature):
    blob = b"SSHSIG" + struct.pack(">I", 1) + string(public) + string(b"file") + string(b"")
    blob += string(b"sha512") + string(string(kind) + signature)
    text = base64.encodebytes(blob).decode()
    line = f"{kind.decode()} {base64.b64encode(public).decode()}"
    return line, f"-----BEGIN SSH SIGNATURE-----\n{text}-----END SSH SIGNATURE-----\n".encode()


def minisign():
    (HERE / "minisign").mkdir(exist_ok=True)
    key = str(KEYS / "minisign.key")
    run("minisign", "-G", "-W", "-f", "-p", "minisign/minisign.pub", "-s", key)
    for name, option in (("content", "-H"), ("content.legacy", "-l")):
        run("minisign", "-S", option, "-s", key, "-m", "content", "-x", f"minisign/{name}.minisig",
            "-t", f"made for a test: {name}")
    (HERE / "signify").mkdir(exist_ok=True)
    (HERE / "signify/signify.pub").unlink(missing_ok=True)
    secret = str(KEYS / "signify.sec")
    run("signify-openbsd", "-G", "-n", "-p", "signify/signify.pub", "-s", secret)
    run("signify-openbsd", "-S", "-s", secret, "-m", "content", "-x", "signify/content.sig")


def lists():
    files = KEYS / "files"
    files.mkdir()
    names = ["plain", "two words", "back\\slash", "paren (1) = x", "umlaut-ä", "-dash", "*star"]
    for name in names:
        (files / name).write_bytes(name.encode())
    arguments = ["--", *names]
    environment = [("gnu-text", ["sha256sum", "-t"]), ("gnu-binary", ["sha256sum", "-b"]),
                   ("gnu-tag", ["sha256sum", "--tag"]), ("gnu-sha512", ["sha512sum"]),
                   ("gnu-sha384", ["sha384sum"]), ("gnu-md5", ["md5sum"]), ("gnu-sha1", ["sha1sum"]),
                   ("gnu-b2", ["b2sum", "--tag"]), ("perl", ["shasum", "-a", "256"]),
                   ("perl-tag", ["shasum", "-a", "512", "--tag"])]
    for name, command in environment:
        write(f"lists/{name}", run(*command, *arguments, where=files))
    names = [name for name in names if not name.startswith(("-", "*"))]
    write("lists/openssl", run("openssl", "dgst", "-sha256", *names, where=files))


write("content", CONTENT)
openssl()
ssh()
minisign()
lists()
for folder, _, _ in os.walk(KEYS, topdown=False):
    for name in os.listdir(folder):
        path = pathlib.Path(folder) / name
        path.rmdir() if path.is_dir() else path.unlink()
KEYS.rmdir()
