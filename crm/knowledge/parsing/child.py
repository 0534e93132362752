"""The process that opens a stranger's document: `python -m crm.knowledge.parsing.child <kind> <mode>`.

The document is its standard input, one JSON object on its standard output the answer. It has no secrets, no
database and no files but its own, sets limits on itself before it looks at the first byte, and ends after
one document. Imports nothing of Django.
"""

import io
import json
import os
import resource
import sys
from typing import IO, Any

from crm.knowledge.parsing import kinds
from crm.knowledge.parsing.refusals import MAX_CHARS, Refused

MEMORY_BYTES = 1024 * 1024 * 1024
CPU_S = 60
INSPECT_CPU_S = 10


def limit(cpu_s: int) -> None:
    """Nothing that is read here may take more than this of the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def inspect(kind: str, file: IO[bytes]) -> dict[str, Any]:
    """What can be told without reading it all: whether it opens, and how many pages it has.

    Raises:
        Refused.
    """
    if kind == kinds.PDF:
        from crm.knowledge.parsing import pdf

        return {"pages": pdf.inspect(file)}
    if kind == kinds.DOCX:
        from crm.knowledge.parsing import docx_file

        docx_file.inspect(file)
    return {}


def parse(kind: str, file: IO[bytes]) -> dict[str, Any]:
    """`blocks`: [text, level, page] in order; `pages`; `title` and `language` if the document names them.

    Raises:
        Refused.
    """
    from crm.knowledge.parsing import decoding

    match kind:
        case kinds.PDF:
            from crm.knowledge.parsing import pdf

            return pdf.parse(file)
        case kinds.DOCX:
            from crm.knowledge.parsing import docx_file

            return docx_file.parse(file)
        case kinds.HTML:
            from crm.knowledge.parsing import html_page

            return html_page.parse(file.read())
        case _:
            return decoding.parse(file.read(), markdown=kind == kinds.MARKDOWN)


def answer(kind: str, mode: str, file: IO[bytes]) -> dict[str, Any]:
    try:
        found = inspect(kind, file) if mode == "inspect" else parse(kind, file)
    except Refused as exc:
        return {"refused": exc.code}
    except MemoryError:
        return {"refused": "too_much_memory"}
    except Exception as exc:  # the top of the process: whatever a parser stumbles over is a damaged document
        print(f"{type(exc).__name__}", file=sys.stderr)
        return {"refused": "unreadable"}
    blocks = found.get("blocks")
    if blocks is not None:
        chars = sum(len(text) for text, _, _ in blocks)
        if not any(text.strip() for text, level, _ in blocks if not level):
            return {"refused": "no_text"}
        if chars > MAX_CHARS:
            return {"refused": "too_much_text"}
    return found


def main() -> None:
    kind, mode = sys.argv[1], sys.argv[2]
    limit(INSPECT_CPU_S if mode == "inspect" else CPU_S)
    found = answer(kind, mode, io.BytesIO(sys.stdin.buffer.read()))
    try:
        sys.stdout.buffer.write(json.dumps(found).encode())
        sys.stdout.buffer.flush()
    except MemoryError:
        os.write(1, b'{"refused": "too_much_memory"}')
    os._exit(0)  # without the destructors of what a hostile document has left behind


if __name__ == "__main__":
    main()
