"""A second implementation of the cache's format, written from docs/integrity-cache.md alone.

Nothing but the standard library: HMAC and SHA-256 come from it, AES-256-GCM (FIPS 197, NIST SP 800-38D)
is written out, slow and plain. Caches with a shared key only; a sealed cache needs Ed25519.

    oracle.py read  CACHE MASTER NAMESPACE [LABEL VALUE]...
    oracle.py write CACHE MASTER NAMESPACE BODY EPOCH GENERATION CREATED EXPIRES PAYLOAD [LABEL VALUE]...

MASTER and VALUE are hexadecimal, PAYLOAD is a file. `read` prints one JSON object.
"""

import hashlib
import hmac
import json
import os
import struct
import sys

CHUNK = 65536


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def expand(prk, info, length):
    return mac(prk, info, b"\x01")[:length]


class Keys:
    def __init__(self, master, cache_id):
        prk = mac(cache_id, master)
        self.id = expand(prk, b"dsops.ic.v1/id", 8)
        for purpose in ("name", "entry", "meta", "enc"):
            setattr(self, purpose, expand(prk, b"dsops.ic.v1/" + purpose.encode(), 32))


# --- AES-256 and GCM ---------------------------------------------------------------------------

def _sbox():
    # Multiplicative inverses by powers of the generator 3, then the affine map of FIPS 197 §5.1.1.
    power, log, x = [], {}, 1
    for i in range(255):
        power.append(x)
        log[x] = i
        x ^= (x << 1) ^ (0x11B if x & 0x80 else 0)
    box = []
    for value in range(256):
        inverse = power[-log[value] % 255] if value else 0
        out = 0x63
        for turn in range(5):
            out ^= ((inverse << turn) | (inverse >> (8 - turn))) & 0xFF
        box.append(out)
    return box


SBOX = _sbox()


def double(x):
    return ((x << 1) ^ 0x1B) & 0xFF if x & 0x80 else x << 1


def round_keys(key):
    words = [list(key[i : i + 4]) for i in range(0, 32, 4)]
    rcon = 1
    for i in range(8, 60):
        word = list(words[i - 1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = double(rcon)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[i : i + 4], []) for i in range(0, 60, 4)]


def encrypt_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number in range(1, 15):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 14:
            mixed = []
            for column in range(0, 16, 4):
                a = state[column : column + 4]
                all_four = a[0] ^ a[1] ^ a[2] ^ a[3]
                mixed += [a[i] ^ all_four ^ double(a[i] ^ a[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[number])]
    return bytes(state)


def ghash(h, data):
    # Bits count from the left: shifting right multiplies.
    table, v = [], h
    for _ in range(128):
        table.append(v)
        v = (v >> 1) ^ (0xE1 << 120 if v & 1 else 0)
    y = 0
    for start in range(0, len(data), 16):
        y ^= int.from_bytes(data[start : start + 16].ljust(16, b"\0"), "big")
        z, bit = 0, 127
        while y:
            if y >> bit & 1:
                z ^= table[127 - bit]
                y ^= 1 << bit
            bit -= 1
        y = z
    return y


def gcm(key, nonce, text, decrypting):
    keys = round_keys(key)
    h = int.from_bytes(encrypt_block(keys, bytes(16)), "big")
    out = bytearray()
    for start in range(0, len(text), 16):
        counter = nonce + struct.pack(">I", 2 + start // 16)
        stream = encrypt_block(keys, counter)
        out += bytes(a ^ b for a, b in zip(text[start : start + 16], stream))
    ciphertext = text if decrypting else bytes(out)
    padded = ciphertext + bytes(-len(ciphertext) % 16)
    y = ghash(h, padded + struct.pack(">QQ", 0, 8 * len(ciphertext)))
    tag = y ^ int.from_bytes(encrypt_block(keys, nonce + b"\0\0\0\1"), "big")
    return bytes(out), tag.to_bytes(16, "big")


# --- the format --------------------------------------------------------------------------------

def superblock(cache, master):
    data = open(os.path.join(cache, "CACHE"), "rb").read()
    assert len(data) == 256 and data[:12] == b"DSOPSIC1\x01\x00\x01\x00" and data[12:16] == b"\0\1\0\0"
    keys = Keys(master, data[16:32])
    assert data[32:40] == keys.id and not any(data[48:192]) and not any(data[224:])
    tag = mac(keys.meta, b"dsops.integrity-cache.superblock.v1\0", data[:192])
    assert hmac.compare_digest(tag, data[192:224])
    return data[16:32], keys


def canonical(parts):
    key = b"".join(struct.pack("<I", len(part)) + part for part in parts)
    return key if len(key) <= 4096 else b"\xff" * 4 + hashlib.sha256(key).digest()


def path_of(cache, keys, namespace, key):
    name = mac(keys.name, namespace, b"\0", key).hex()
    return os.path.join(cache, name[:2], name[2:])


def chunks_of(payload):
    parts = [payload[i : i + CHUNK] for i in range(0, len(payload), CHUNK)] or [b""]
    return [(index, index + 1 == len(parts), part) for index, part in enumerate(parts)]


def leaf(index, last, chunk):
    return hashlib.sha256(b"\0" + struct.pack("<QB", index, last) + chunk).digest()


def root_of(leaves):
    return leaves[0] if len(leaves) == 1 else hashlib.sha256(b"\1" + b"".join(leaves)).digest()


def nonce_of(index, last):
    return struct.pack("<Q3xB", index, last)


HEADER = struct.Struct("<8sHBBHBBIHHII16s8sQQqq8sQQ32s32s")
MAGIC = b"\x44\x53\x49\x45\x89\x0d\x0a\x1a"


def read(cache, master, namespace, parts):
    cache_id, keys = superblock(cache, master)
    key = canonical(parts)
    data = open(path_of(cache, keys, namespace, key), "rb").read()
    (magic, version, auth, body, flags, log2, zero, header_len, ns_len, key_len, schema, zeros, in_cache,
     key_id, epoch, generation, created, expires, boot, boot_ms, length, nonce, root) = HEADER.unpack_from(data)
    assert (magic, version, auth, flags, log2, zero, zeros) == (MAGIC, 1, 1, 0, 16, 0, 0)
    assert header_len == -(-(176 + ns_len + key_len) // 16) * 16
    assert (in_cache, key_id) == (cache_id, keys.id)
    tag = mac(keys.entry, b"dsops.integrity-cache.entry.v1\0", data[:header_len])
    assert hmac.compare_digest(tag, data[header_len : header_len + 32])
    assert data[176 : 176 + ns_len] == namespace and data[176 + ns_len :][:key_len] == key
    assert not any(data[176 + ns_len + key_len : header_len])
    at, payload = header_len + 32, b""
    count = max(1, -(-length // CHUNK))
    if body == 3:
        assert root == bytes(32)
        cipher_key = mac(keys.enc, b"body", nonce, b"\1")
        for index in range(count):
            size = min(CHUNK, length - index * CHUNK)
            text, seal = data[at : at + size], data[at + size : at + size + 16]
            plain, expected = gcm(cipher_key, nonce_of(index, index + 1 == count), text, True)
            assert len(text) == size and hmac.compare_digest(seal, expected)
            payload, at = payload + plain, at + size + 16
    else:
        assert body == 1 and nonce == bytes(32)
        payload = data[at : at + length]
        leaves = [leaf(*chunk) for chunk in chunks_of(payload)]
        at += length
        if count > 1:
            assert data[at : at + 32 * count] == b"".join(leaves)
            at += 32 * count
        assert root_of(leaves) == root
    assert at == len(data)
    return {"payload": payload.hex(), "created": created, "expires": expires, "generation": generation,
            "epoch": epoch, "schema": schema}


def write(cache, master, namespace, body, epoch, generation, created, expires, payload, parts):
    cache_id, keys = superblock(cache, master)
    key = canonical(parts)
    nonce, root, stored = bytes(32), bytes(32), b""
    if body == 3:
        nonce = os.urandom(32)
        cipher_key = mac(keys.enc, b"body", nonce, b"\1")
        for index, last, chunk in chunks_of(payload):
            stored += b"".join(gcm(cipher_key, nonce_of(index, last), chunk, False))
    else:
        leaves = [leaf(*chunk) for chunk in chunks_of(payload)]
        stored = payload + (b"".join(leaves) if len(leaves) > 1 else b"")
        root = root_of(leaves)
    header_len = -(-(176 + len(namespace) + len(key)) // 16) * 16
    header = HEADER.pack(MAGIC, 1, 1, body, 0, 16, 0, header_len, len(namespace), len(key), 0, 0, cache_id,
                         keys.id, epoch, generation, created, expires, bytes(8), 0, len(payload), nonce, root)
    header = (header + namespace + key).ljust(header_len, b"\0")
    tag = mac(keys.entry, b"dsops.integrity-cache.entry.v1\0", header)
    path = path_of(cache, keys, namespace, key)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    with open(path, "wb") as file:
        file.write(header + tag + stored)


def parts_of(args):
    return [part for label, value in zip(args[::2], args[1::2]) for part in (label.encode(), bytes.fromhex(value))]


def main(verb, cache, master, namespace, *args):
    master, namespace = bytes.fromhex(master), namespace.encode()
    if verb == "read":
        print(json.dumps(read(cache, master, namespace, parts_of(args))))
    else:
        numbers = [int(arg) for arg in args[:5]]
        write(cache, master, namespace, *numbers, open(args[5], "rb").read(), parts_of(args[6:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
