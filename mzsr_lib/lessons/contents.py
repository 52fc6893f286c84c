"""The files that `make lab` serves: a page that is only read is not one that was changed."""

import platform
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager


class Contents(AsyncLargeFileManager):
    """Files, whose notebooks say which Python they are about to be run with.

    The stored ones name none, as it differs between machines. JupyterLab writes it in when the kernel starts, and then
    takes the page for a changed one and asks whether to save it.
    """

    async def get(self, path: str, *args: Any, **options: Any) -> dict:
        """Return what is known of a file, and its content when that is wanted."""
        model = await super().get(path, *args, **options)
        if model["type"] == "notebook" and model["content"]:
            model["content"]["metadata"].setdefault("language_info", {})["version"] = platform.python_version()
        return model
