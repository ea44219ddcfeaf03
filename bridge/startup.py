"""`kitt startup`: a systemd unit for this installation, so that KITT runs from boot.

It is printed, never installed: that needs root, and root should read it first. What is locked is
what KITT never needs. Left open on purpose, because a sandbox made with bubblewrap needs it: user
namespaces, mounts, and the whole of /proc.
"""

import os
import pwd
import sys
from pathlib import Path
from typing import Final

from bridge.process import prepare_folders
from bridge.settings import Settings, read_env_file

SERVICE: Final = "kitt.service"
_SECRETS: Final = ("TELEGRAM_BOT_TOKEN", "ANTHROPIC_API_KEY")
_TEMP: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - what PrivateTmp hides
_UNIT: Final = """\
[Unit]
Description=KITT, a personal assistant in Telegram
Wants=network-online.target
After=network-online.target
RequiresMountsFor={memory}
# Never given up, however often it ends.
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
WorkingDirectory={folder}
Environment={profile}
ExecStart={python} -P -m bridge up
Restart=always
RestartSec=5
# A wrong setting: trying again mends nothing, and `systemctl status kitt` shows the sentence.
RestartPreventExitStatus=78
# TERM to supervisord alone, which drains every program in 30 s; KILL to whatever is left then.
KillMode=mixed
TimeoutStopSec=45
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={writable}
PrivateTmp={private_tmp}
ProtectControlGroups=yes
ProtectKernelModules=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=multi-user.target
"""


def print_unit(settings: Settings) -> int:
    """Print the unit, and on standard error how it is installed.

    Raises: ConfigError when the folders cannot be made.
    """
    prepare_folders(settings)  # a unit whose ReadWritePaths are missing does not start
    folder = Path.cwd()
    print(unit(settings, folder=folder), end="")
    missing = [name for name in _SECRETS if not read_env_file(folder / ".env").get(name)]
    if missing:
        print(
            f"The service reads {folder / '.env'} and not this shell: {' and '.join(missing)} "
            "must be there.",
            file=sys.stderr,
        )
    print(
        "Install it with:\n"
        f"  kitt startup | sudo tee /etc/systemd/system/{SERVICE}\n"
        "  sudo systemctl daemon-reload\n"
        f"  sudo systemctl enable --now {SERVICE}",
        file=sys.stderr,
    )
    return 0


def unit(settings: Settings, *, folder: Path, python: str = sys.executable) -> str:
    """The text of the unit. `folder` is where `kitt` is called and .env is read."""
    memory = settings.memory.resolve()
    # What lies in the temp folder would be hidden by one of the unit's own.
    shared = any(path.is_relative_to(temp) for path in (memory, folder) for temp in _TEMP)
    return _UNIT.format(
        user=pwd.getpwuid(os.getuid()).pw_name,
        folder=_escaped(folder),
        memory=_quoted(memory),
        profile=_quoted(f"KITT_PROFILE={settings.profile.absolute()}"),
        python=_quoted(python),
        writable=" ".join(map(_quoted, [memory, *(_TEMP if shared else ())])),
        private_tmp="no" if shared else "yes",
    )


def _escaped(text: object) -> str:
    """As a whole line takes it: a % begins a specifier."""
    return str(text).replace("%", "%%")


def _quoted(text: object) -> str:
    """As a list of words takes it (systemd.syntax)."""
    plain = _escaped(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
