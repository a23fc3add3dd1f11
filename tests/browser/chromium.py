"""A headless Chromium, driven over a pipe: its DevTools protocol, no driver, no port, no network.

    with Chromium.start() as page:
        page.open(path)
        page.run("document.title")

The protocol is at https://chromedevtools.github.io/devtools-protocol/; over a pipe each message ends with a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--force-color-profile=srgb", "--remote-debugging-pipe",
)  # fmt: skip
ANSWER_SECONDS_MAX = 120
KEYS = {
    "Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " "), "ArrowDown": (40, ""), "Escape": (27, ""),
}  # fmt: skip


class BrowserError(Exception):
    """The browser refused what was asked, or is gone."""


def find_chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One page of one browser."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._rest = b""
        self._sent = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []  # what the page told since it was opened

    @classmethod
    @contextmanager
    def start(cls, program: str) -> Iterator[Chromium]:
        """A browser with a profile of its own, which is gone afterwards."""
        (its_in, our_out), (our_in, its_out) = os.pipe(), os.pipe()
        with tempfile.TemporaryDirectory(prefix="ripcurrent-", ignore_cleanup_errors=True) as profile:
            # a shell puts the pipe where Chromium wants it: 3 to read, 4 to write
            command = f'exec "$0" "$@" 3<&{its_in} 4>&{its_out}'
            process = subprocess.Popen(
                ["bash", "-c", command, program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
                pass_fds=(its_in, its_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            os.close(its_in)
            os.close(its_out)
            try:
                browser = cls(our_out, our_in)
                browser._attach()
                yield browser
                browser.call("Browser.close", page=False)
                process.wait(30)
            finally:
                process.kill()
                process.wait()
                os.close(our_out)
                os.close(our_in)

    def _attach(self) -> None:
        target = self.call("Target.createTarget", page=False, url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", page=False, targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    # ---- the protocol --------------------------------------------------------------------------------------

    def call(self, method: str, *, page: bool = True, **params: Any) -> dict[str, Any]:
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": params}
        if page:
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._to, rest) :]
        while True:
            said = self._hear()
            if said.get("id") == self._sent:
                if "error" in said:
                    raise BrowserError(f"{method}: {said['error']}")
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._back], [], [], ANSWER_SECONDS_MAX)[0]:
                raise BrowserError(f"the browser has said nothing for {ANSWER_SECONDS_MAX} s")
            read = os.read(self._back, 1 << 20)
            if not read:
                raise BrowserError("the browser is gone")
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    # ---- what a reader does --------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        self.events = []
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._hear())

    def run(self, script: str) -> Any:
        """What the script comes to."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserError(found["exceptionDetails"]["exception"].get("description", script))
        return found["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        code, text = KEYS[key]
        name = " " if key == "Space" else key
        common = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def write(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def media(self, kind: str = "", **features: str) -> None:
        """`media("print")`, `media(prefers_color_scheme="dark")`."""
        asked = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media=kind, features=asked)

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def scripts(self, on: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not on)

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def screenshot(self, *, whole: bool = True) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def accessible(self) -> list[tuple[str, str]]:
        """(role, name) of all that a reader of screens meets, in order."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]
        ]

    def asked_for(self) -> list[str]:
        """Every address that the page asked for since it was opened, itself too."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def complaints(self) -> list[str]:
        """What stands on the console: refusals by the policy, exceptions."""
        found = [e["params"]["entry"]["text"] for e in self.events if e.get("method") == "Log.entryAdded"]
        return found + [str(e["params"]) for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
