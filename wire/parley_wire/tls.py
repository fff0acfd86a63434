"""TLS of a process: what it shows to those who call it, and whom it believes when it calls.

One folder, with the file names that Kubernetes and cert-manager give them:

===========  ==================================================================================
file         meaning
===========  ==================================================================================
`tls.crt`    certificate of this process, and those between it and its CA; PEM
`tls.key`    its private key; PEM, not encrypted
`ca.crt`     certificates that are trusted besides those that the system trusts; PEM
===========  ==================================================================================

`tls.crt` and `tls.key` make it serve HTTPS, and gRPC over TLS, and nothing else; `ca.crt` alone changes
nothing but whom it trusts. Certificates of others are always verified, and their names too.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

import certifi
from parley_cards.errors import Kind

from parley_wire.errors import WireError

if TYPE_CHECKING:
    import grpc

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
CA: Final = "ca.crt"


class TlsError(WireError):
    """The certificate, its key or the CA of this process cannot be used."""

    code: ClassVar[str] = "tls"
    kind: ClassVar[Kind] = Kind.INVALID


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of one process; read when it starts."""

    folder: Path | None = None
    serves: bool = False
    """Whether it has a certificate of its own."""
    trusts: bool = False
    """Whether it has a CA of its own."""

    @classmethod
    def of(cls, folder: str | Path | None) -> Self:
        """Look what is in a folder; without one, nothing.

        Raises:
            TlsError: If it has neither certificate and key, nor a CA, or they cannot be used.
        """
        if not folder:
            return cls()
        place = Path(folder)
        try:
            there = {name for name in (CERTIFICATE, KEY, CA) if (place / name).is_file()}
        except OSError as exc:
            raise TlsError(f"cannot read {place}: {exc.strerror}") from exc
        if len(there & {CERTIFICATE, KEY}) == 1 or not there:
            raise TlsError(
                f"{place} needs {CERTIFICATE} and {KEY} to serve TLS, or {CA} to trust another CA"
            )
        found = cls(place, serves=CERTIFICATE in there, trusts=CA in there)
        if found.serves:
            found.server_context()
        if found.trusts:
            found.client_context()
        return found

    @property
    def scheme(self) -> str:
        """Of the addresses that it serves."""
        return "https" if self.serves else "http"

    def server_context(self) -> ssl.SSLContext:
        """For HTTPS: TLS 1.2 or later, HTTP/1.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._file(CERTIFICATE), self._file(KEY), password=_no_password)
        except (OSError, ValueError) as exc:
            raise TlsError(
                f"{CERTIFICATE} and {KEY} in {self.folder} cannot be used: {exc}"
            ) from exc
        return context

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.trusts:
            try:
                context.load_verify_locations(self._file(CA))
            except (OSError, ValueError) as exc:
                raise TlsError(f"{CA} in {self.folder} cannot be used: {exc}") from exc
        return context

    def grpc_server(self) -> grpc.ServerCredentials:
        """For gRPC; its library takes TLS 1.2 or later, and HTTP/2."""
        import grpc  # noqa: PLC0415 - costs a start 60 ms

        pair = (self._file(KEY).read_bytes(), self._file(CERTIFICATE).read_bytes())
        return grpc.ssl_server_credentials([pair])

    def grpc_channel(self) -> grpc.ChannelCredentials:
        import grpc  # noqa: PLC0415

        if not self.trusts:
            return grpc.ssl_channel_credentials()
        # What is given replaces what the library trusts by itself.
        known = Path(certifi.where()).read_bytes()
        return grpc.ssl_channel_credentials(known + b"\n" + self._file(CA).read_bytes())

    def _file(self, name: str) -> Path:
        if self.folder is None:
            raise TlsError(f"there is no folder with {name}; set PARLEY_TLS")
        return self.folder / name


NO_TLS: Final = Tls()


def _no_password() -> str:
    """Instead of a question on the terminal."""
    raise ValueError("the key is encrypted")
