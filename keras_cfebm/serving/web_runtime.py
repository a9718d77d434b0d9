"""TensorFlow.js for the playground: fetched when it is needed, and checked."""

import hashlib
import io
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request

from keras_cfebm.utils.paths import user_path

VERSION = "4.22.0"
_SCRIPTS = f"@tensorflow/tfjs@{VERSION}"
_WASM = f"@tensorflow/tfjs-backend-wasm@{VERSION}"
#: File name → its package, and the SHA-512 of its content.
FILES = {
    "tf.es2017.min.js": (
        _SCRIPTS,
        "855a32a7441a37ff235d48a9e8b7eaf463a6917bd4ca1945500bdacd53f2b647"
        "52125884b3fb408d59d32648a8b7893e441d37a43764a6238016800e4046b75f",
    ),
    "tf-backend-wasm.es2017.min.js": (
        _WASM,
        "eb151bd82c40f32a23e177774b6ddf92adb102d9cb4412d397cfee635213c0e5"
        "78400aa7df2133b79cce68e3ef31c19596bef4eaa90a60388d931088deb0cebc",
    ),
    "tfjs-backend-wasm-simd.wasm": (
        _WASM,
        "783dd5266ad623d5168be2ac1c39c94380cdd3d0fa74331224c08f0cecc9ed23"
        "4b5fd5d8fab0ec3804b85f2c86f2b6871a40ec6b423030f1c679e99c55706ee1",
    ),
    "tfjs-backend-wasm.wasm": (
        _WASM,
        "05436cc98495495d557b5b4c10a167ee4a936dead047a3446fe0c3e9fc692064"
        "258ba6d096df6ec847dd51573854b9ab22ad229020be07402655edd3f6671d91",
    ),
}


def write_runtime(folder: pathlib.Path, source: str | None = None) -> None:
    """Writes the files of TensorFlow.js, none of which is trusted unseen.

    Args:
        folder: where to; it must exist.
        source: folder that holds `FILES`, such as the `runtime` of an earlier export;
            or the `https://` address of an npm mirror of files, to which
            `@tensorflow/tfjs@4.22.0/dist/tf.es2017.min.js` is appended; None to ask
            npm.

    Raises:
        ValueError: if a file has another content than that of the pinned version, or
            npm is needed and not there.
        OSError: if the files cannot be fetched.
    """
    if source is None:
        contents = _from_npm()
    elif source.startswith(("https://", "http://")):
        contents = _from_address(source)
    else:
        contents = {name: (user_path(source) / name).read_bytes() for name in FILES}
    for name, (package, expected) in FILES.items():
        received = hashlib.sha512(contents[name]).hexdigest()
        if received != expected:
            raise ValueError(
                f"Expected {name} of {package}, SHA-512 {expected[:12]}…, received "
                f"another content, {received[:12]}…."
            )
        (folder / name).write_bytes(contents[name])


def _from_address(address):
    contents = {}
    for name, (package, _) in FILES.items():
        url = f"{address.rstrip('/')}/{package}/dist/{name}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            contents[name] = answer.read()
    return contents


def _from_npm():
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(
            "Expected npm, to fetch TensorFlow.js, or runtime, a folder or an address "
            "that has it, received neither."
        )
    contents = {}
    with tempfile.TemporaryDirectory() as folder:
        for package in (_SCRIPTS, _WASM):
            command = [npm, "pack", package, "--silent", "--prefer-offline"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise OSError(
                    f"Expected npm to fetch {package}, received: "
                    f"{done.stderr.strip() or done.stdout.strip()}. runtime may be a "
                    "folder or an address that has it."
                )
            packed = (pathlib.Path(folder) / done.stdout.split()[-1]).read_bytes()
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                for name, (owner, _) in FILES.items():
                    if owner == package:
                        found = archive.extractfile(f"package/dist/{name}")
                        contents[name] = b"" if found is None else found.read()
    return contents
