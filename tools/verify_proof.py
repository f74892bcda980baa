#!/usr/bin/env python3
"""Checks a proof that an entry is in a journal, or a journal's checkpoint, with nothing but Python.

    verify_proof.py PROOF_FILE [--key KEY] [--receipt COMMITMENT]
    verify_proof.py EVIDENCE_FILE [--key KEY]
    verify_proof.py CHECKPOINT_FILE --key KEY

KEY is the journal's verifier key, or a file that holds it. Without one, a proof is checked against
the key that it names itself: then it says no more than that key does.

Written from docs/formats (inclusion-proof.md, checkpoint.md, evidence.md) and their standards, apart
from the program, so that nobody has to trust its C. Ends with 0: all is good; 1: not; 2: misused.
"""
import base64, hashlib, json, os, re, sys

MAX_FILE, MAX_NOTE, MAX_SIGNATURES, MAX_HASHES, DASH = 512 * 1024, 64 * 1024, 64, 64, "\u2014"

class Bad(Exception): pass  # what is wrong, in words

def sha256(data):
    return hashlib.sha256(data).digest()

def decode64(text):
    """Strict base64: one way to write each value."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad("a value is not base64")
    if base64.b64encode(raw).decode() != text:
        raise Bad("a value is not base64 as it should be written")
    return raw

def decode_number(text):
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text, re.ASCII) or int(text) >= 2**64:
        raise Bad("a number is malformed")
    return int(text)

# ---- Ed25519 (RFC 8032 5.1), verification only: no secret is near, so it may be slow and plain ------
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)

def point_add(a, b):
    # Extended homogeneous coordinates (X, Y, Z, T), x = X/Z, y = Y/Z, x * y = T/Z.
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    i, j, k, m = f - e, h - g, h + g, f + e
    return (i * j % P, k * m % P, j * k % P, i * m % P)

def point_times(n, a):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = point_add(out, a)
        a = point_add(a, a)
        n >>= 1
    return out

def point_read(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else P - x
    return (x, y, 1, x * y % P)

BASE = point_read((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def ed25519_verify(public, message, signature):
    a, r = point_read(public), point_read(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(public) != 32 or len(signature) != 64 or a is None or r is None or s >= Q:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    x, y = point_times(s, BASE), point_add(r, point_times(int.from_bytes(digest, "little") % Q, a))
    return (x[0] * y[2] - y[0] * x[2]) % P == 0 and (x[1] * y[2] - y[1] * x[2]) % P == 0

# ---- keys and notes ---------------------------------------------------------------------------------
def name_is_good(name):
    return (0 < len(name.encode()) <= 255 and "+" not in name and "\x7f" not in name
            and not any(c.isspace() or c < " " for c in name))

def key_read(line, kind=1):
    """name+id+base64(type || public key) -> (name, id, public key)."""
    parts = line.rstrip("\n").split("+", 2)
    if len(parts) != 3 or not name_is_good(parts[0]) or not re.fullmatch("[0-9a-fA-F]{8}", parts[1]):
        raise Bad("the verifier key is malformed")
    raw = decode64(parts[2])
    if len(raw) != 33 or raw[0] != kind:
        raise Bad("the verifier key is of another kind than Ed25519")
    key_id = sha256(parts[0].encode() + b"\n" + raw)[:4]
    if key_id.hex() != parts[1].lower():
        raise Bad("the verifier key's id is not that of its bytes")
    return parts[0], key_id, raw[1:]

def note_check(note, key):
    """A signed note by that key -> its text."""
    name, key_id, public = key
    if len(note.encode()) > MAX_NOTE or not note.endswith("\n") or \
            any(c < " " and c != "\n" for c in note):
        raise Bad("the checkpoint is malformed, or has control characters in it")
    text, blank, signatures = note[:-1].rpartition("\n\n")
    text += "\n"
    if not blank or not signatures or len(signatures.split("\n")) > MAX_SIGNATURES:
        raise Bad("the checkpoint has no signatures, or too many")
    good = False
    for line in signatures.split("\n"):
        parts = line.split(" ")
        named = len(parts) == 3 and parts[0] == DASH and name_is_good(parts[1])
        raw = decode64(parts[2]) if named else b""
        if len(raw) < 5:
            raise Bad("a signature line is malformed")
        if parts[1] != name or raw[:4] != key_id:
            continue  # a witness, or a key that is not ours to judge
        if len(raw) != 68 or not ed25519_verify(public, text.encode(), raw[4:]):
            raise Bad("the checkpoint was altered, or signed with another key")
        good = True
    if not good:
        raise Bad("the checkpoint is not signed with this key")
    return text

def checkpoint_check(note, key):
    """-> (size, root) of the tree that was signed."""
    lines = note_check(note, key)[:-1].split("\n")
    if len(lines) < 3 or "" in lines or len(decode64(lines[2])) != 32:
        raise Bad("the checkpoint is malformed")
    if lines[0] != key[0]:
        raise Bad("the checkpoint is of another log than the key")
    return decode_number(lines[1]), decode64(lines[2])

# ---- proofs -----------------------------------------------------------------------------------------
def inclusion_root(index, size, leaf_hash, hashes):
    """RFC 9162 2.1.3.2: the root that the hashes lead to."""
    if index >= size:
        raise Bad("the index lies outside of the tree")
    fn, sn, r = index, size - 1, leaf_hash
    for p in hashes:
        if sn == 0:
            raise Bad("the proof is too long")
        if fn & 1 or fn == sn:
            r = sha256(b"\x01" + p + r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b"\x01" + r + p)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise Bad("the proof is too short")
    return r

def cosignature_time(note, line):
    """C2SP tlog-cosignature: when this witness signed the note's text; None when it did not."""
    name, key_id, public = key_read(line, 4)
    text, _, signatures = note[:-1].rpartition("\n\n")
    for parts in (s.split(" ") for s in signatures.split("\n")):
        raw = decode64(parts[2])
        if parts[1] != name or raw[:4] != key_id:
            continue
        at = int.from_bytes(raw[4:12], "big")
        signed = f"cosignature/v1\ntime {at}\n{text}\n".encode()
        if len(raw) != 76 or at >= 2**63 or not ed25519_verify(public, signed, raw[12:]):
            raise Bad("a witness's signature is wrong")
        return at
    return None

def no_duplicates(pairs):
    if len(dict(pairs)) != len(pairs):
        raise Bad("a member of the evidence comes twice")
    return dict(pairs)

def object_read(text, what):
    try:
        value = json.loads(text, object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Bad(f"this is no {what}, or it is cut")
    return value

def proof_check(text, key_line):
    """-> (index, size, root, leaf, note, name, the line of the key that was taken)."""
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1" or \
            not lines[1].startswith("extra ") or not lines[2].startswith("index ") or \
            len(lines) - 3 > MAX_HASHES:
        raise Bad("this is no proof file, or it is cut")
    parts = decode64(lines[1][6:]).split(b"\n", 2)
    if len(parts) != 3 or parts[0] != b"socle-proof-1":
        raise Bad("the extra data are of another version")
    named, leaf = parts[1].decode(), parts[2]
    key_read(named)
    key = key_read(key_line or named)
    index = decode_number(lines[2][6:])
    hashes = [decode64(line) for line in lines[3:]]
    if any(len(h) != 32 for h in hashes):
        raise Bad("a hash of the proof is malformed")
    size, root = checkpoint_check(note, key)
    if inclusion_root(index, size, sha256(b"\x00" + leaf), hashes) != root:
        raise Bad("the entry does not lead to the signed root: it, or the proof, was altered")
    return index, size, root, leaf, note, key[0], key_line or named

def sealed_check(of, key_line):
    """A proof and the logs that followed its own -> (proof, the last key, their origins)."""
    chain, origins = of.get("chain", []), []
    if not isinstance(chain, list) or len(chain) > 16:
        raise Bad("this is no evidence file, or it is cut")
    proof = before = proof_check(str(of.get("proof")), None if chain else key_line)
    for i, text in enumerate(chain):
        one = proof_check(str(text), key_line if i + 1 == len(chain) else None)
        leaf = object_read(one[3].decode(), "entry")
        wanted = {"origin": before[5], "size": before[1],
                  "root": base64.b64encode(before[2]).decode()}
        if one[0] != 0 or leaf.get("kind") != "journal.opened" or leaf.get("previous") != wanted:
            raise Bad("the chain of logs is broken")
        origins.append(one[5])
        before = one
    return proof, before[6], origins

def terms_check(term, leaf, key_line, last_key):
    """What the entry refers to, as it stood -> a line that says so."""
    of, text = term.get("of"), term.get("text")
    proof, last, _ = sealed_check(term, key_line)
    sealed = object_read(proof[3].decode(), "entry")
    digest = base64.urlsafe_b64encode(sha256(str(text).encode())).decode().rstrip("=")
    if of not in ("contract", "consent") or last != last_key or not leaf.get(of) or \
            sealed.get("object") != leaf[of] or sealed.get("digest") != digest or \
            sealed.get("id", "~") > leaf.get("id", ""):
        raise Bad("the contract or the consent is not the one that was in force")
    return f"  {of} as it stood: {text}"

def evidence_check(text, key_line):
    file = object_read(text, "evidence file")
    version, lists = file.get("format"), ("witnesses", "terms", "timestamps")
    if version == "socle-evidence-1":
        file = {name: file.get(name) for name in ("proof", "witnesses")}
    if version not in ("socle-evidence-1", "socle-evidence-2") or "witnesses" not in file or \
            any(not isinstance(file.get(name, []), list) for name in lists) or \
            len(file["witnesses"]) > 16 or len(file.get("terms", [])) > 2:
        raise Bad("this is no evidence file, or of another version")
    proof, last_key, origins = sealed_check(file, key_line)
    signed = [(str(w).split("+")[0], cosignature_time(proof[4], str(w))) for w in file["witnesses"]]
    leaf = object_read(proof[3].decode(), "entry")
    terms = [terms_check(dict(t), leaf, key_line, last_key) for t in file.get("terms", [])]
    stamped = sha256((proof[4].partition("\n\n")[0] + "\n").encode())
    stamps = ["  a timestamp, not checked: give --tsa" for t in file.get("timestamps", [])
              if stamped in decode64(t)]
    if len(stamps) != len(file.get("timestamps", [])) or len(stamps) > 4:
        raise Bad("a timestamp is not of this checkpoint")
    print(f"good: entry {proof[0]} of {proof[1]} in {proof[5]}\n{proof[3].decode()}")
    for line in terms + [f"  followed by the log {name}" for name in origins] + \
            [f"  witness {name} signed at {at}" for name, at in signed if at] + stamps:
        print(line)

def main(argv):
    options = dict(zip(argv[2::2], argv[3::2]))
    if len(argv) < 2 or len(argv) % 2 or argv[1].startswith("-") or \
            not set(options) <= {"--key", "--receipt"}:
        print(__doc__, file=sys.stderr)
        return 2
    key_line, receipt = options.get("--key"), options.get("--receipt")
    try:
        if key_line and "+" not in key_line and os.path.exists(key_line):
            with open(key_line, encoding="utf-8") as f:
                key_line = f.read().strip()
        with open(argv[1], "rb") as f:
            data = f.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise Bad("the file is too long")
        text = data.decode("utf-8")
        if text.startswith("{"):
            evidence_check(text, key_line)
        elif text.startswith("c2sp.org/") or key_line is None:
            index, size, _, leaf, _, name, _ = proof_check(text, key_line)
            if receipt and base64.urlsafe_b64encode(sha256(b"\0" + leaf))[:43].decode() != receipt:
                raise Bad("the log holds another entry than the receipt says")
            print(f"good: entry {index} of {size} in {name}\n{leaf.decode()}")
        else:
            size, root = checkpoint_check(text, key_read(key_line))
            print(f"good: {key_read(key_line)[0]} signed {size} entries, root {root.hex()}")
        if key_line is None:
            print("  with the key that the proof names: give --key to check against one kept elsewhere")
    except OSError as e:
        print(f"verify_proof: {e}", file=sys.stderr)
        return 1
    except (Bad, UnicodeDecodeError, TypeError, ValueError) as e:
        print(f"NOT GOOD: {e}")
        return 1
    return 0

if __name__ == "__main__":
    sys.exit(main(sys.argv))
