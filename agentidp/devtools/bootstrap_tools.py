"""Programs that tests need and pip cannot install: a browser, a proxy and other servers.

Part of bootstrap.py, so it uses only the standard library as well, and syntax for an old Python.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

BROWSERS = [
    os.environ.get("AGENTIDP_CHROMIUM", ""),
    "chromium-headless-shell",  # the same engine without windows: a third less work
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
]
SYSTEM_PROGRAMS = "/usr/sbin:/usr/local/sbin"
LOCK_TIMEOUT_SECONDS, RETRY_INTERVAL_SECONDS = 600, 3


def find_browser() -> str:
    """The path of the Chromium for browser tests, or "" if there is none."""
    for name in BROWSERS:
        path = name and shutil.which(name)
        if path:
            return path
    return ""


def install_browser() -> None:
    """Find Chromium or, as root on Debian, install it. In CI it is an error if there is none."""
    if find_browser():
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("Installing Chromium ...")
        apt_get("update")
        apt_get("install", "--yes", browser_package())
    if not find_browser():
        sentence = "No Chromium or Chrome was found: install one, or name it in AGENTIDP_CHROMIUM. "
        if os.environ.get("CI") == "true":
            sys.exit(sentence)
        say(sentence + "Without it the browser tests fail.")


def browser_package() -> str:
    """The lightest package with Chromium that this Debian has."""
    light = "chromium-headless-shell"
    apt_cache = shutil.which("apt-cache")
    done = apt_cache and subprocess.run([apt_cache, "show", light], capture_output=True)
    return light if done and done.returncode == 0 else "chromium"


def find_proxy() -> str:
    """The path of nginx, which tests use as a proxy, or "" if there is none."""
    return shutil.which("nginx") or shutil.which("nginx", path=SYSTEM_PROGRAMS) or ""


def has_stream_module(program: str) -> bool:
    """Whether this nginx has the module that limits connections, built in or as Debian's file."""
    if not program:
        return False
    built = subprocess.run([program, "-V"], capture_output=True, text=True).stderr
    return "--with-stream " in built or Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists()


def install_servers() -> None:
    """Install nginx, nftables and Redis for tests, only in CI as root on Debian.

    Elsewhere their packages would start services, so tests that need them are skipped.
    """
    wanted = {
        "nginx-light": find_proxy(),
        "libnginx-mod-stream": has_stream_module(find_proxy()),
        "nftables": shutil.which("nft", path=SYSTEM_PROGRAMS),
        "redis-server": shutil.which("redis-server"),
    }
    missing = sorted(name for name, found in wanted.items() if not found)
    if not missing or os.environ.get("CI") != "true":
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        sys.exit("Install " + " and ".join(missing) + ".")
    say("Installing " + " and ".join(missing) + " ...")
    apt_get("update")
    apt_get("install", "--yes", *missing)


def apt_get(*words: str) -> None:
    """Run apt-get. Wait while another program installs packages."""
    command = ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT_SECONDS}", *words]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    until = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
        # The option above waits for dpkg's lock, but not for that of the package lists.
        if not (done.returncode and "Could not get lock" in done.stderr):
            break
        if time.monotonic() > until:
            break
        say("  ... waiting until another program has installed its packages")
        time.sleep(RETRY_INTERVAL_SECONDS)
    sys.stderr.write(done.stderr)
    done.check_returncode()


def say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()
