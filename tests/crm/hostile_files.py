"""Documents as an attacker, or an unlucky person, would send them; made here, nothing is stored."""

import io
import struct
import zipfile

DOCX_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
DOCX_RELS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    'officeDocument" Target="word/document.xml"/></Relationships>'
)
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def docx(document: str = "", extra: dict[str, bytes] | None = None) -> bytes:
    """A Word document whose main part is this XML."""
    text = document or f"<w:document {WORD}><w:body><w:p><w:r><w:t>Hi</w:t></w:r></w:p></w:body></w:document>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", DOCX_TYPES)
        archive.writestr("_rels/.rels", DOCX_RELS)
        archive.writestr("word/document.xml", text)
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return out.getvalue()


def zip_bomb(gigabytes: int = 10) -> bytes:
    """A Word document of ten megabytes that unpacks to ten gigabytes."""
    out = io.BytesIO()
    block = bytes(1 << 20)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", DOCX_TYPES)
        archive.writestr("_rels/.rels", DOCX_RELS)
        with archive.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(1024):
                part.write(block)
    first = out.getvalue()
    # The same compressed gigabyte under further names: as large on disk as an honest bomb would be.
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        info = archive.getinfo("word/document.xml")
        raw = first[info.header_offset + 30 + len("word/document.xml") + 20 :][: info.compress_size]
    return _with_copies(first, raw, info, gigabytes - 1)


def _with_copies(first: bytes, raw: bytes, info: zipfile.ZipInfo, copies: int) -> bytes:
    end = first.rfind(b"PK\x05\x06")
    size, start = struct.unpack("<II", first[end + 12 : end + 20])
    body, directory = bytearray(first[:start]), bytearray(first[start : start + size])
    for number in range(copies):
        name = f"word/media/{number}.bin".encode()
        head = struct.pack(
            "<HHHHHIIIHH", 20, 0, 8, 0, 33, info.CRC, info.compress_size, info.file_size, len(name), 0
        )
        directory += b"PK\x01\x02" + b"\x14\x00" + head + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\x03\x04" + head + name + raw
    count = copies + 3
    tail = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + tail)


def pdf(pages: list[str], *, outline: list[tuple[str, int]] | None = None) -> bytes:
    """A PDF with a line of text each page; `outline`: (title, page from 0)."""
    objects: list[bytes] = []

    def add(data: str | bytes) -> int:
        objects.append(data.encode("latin-1") if isinstance(data, str) else data)
        return len(objects)

    add("")  # catalog
    add("")  # pages
    font = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for text in pages:
        lines = []
        y = 720
        for line in text.split("\n"):
            size = 20 if line.startswith("#") else 11
            safe = line.lstrip("# ").replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            lines.append(f"BT /F1 {size} Tf 72 {y} Td ({safe}) Tj ET")
            y -= 24
        stream = "\n".join(lines).encode("latin-1")
        content = add(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        kids.append(
            add(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
                f"/Resources << /Font << /F1 {font} 0 R >> >> >>"
            )
        )
    outlines = ""
    if outline:
        root = len(objects) + 1
        items = [root + 1 + n for n in range(len(outline))]
        add(f"<< /Type /Outlines /First {items[0]} 0 R /Last {items[-1]} 0 R /Count {len(items)} >>")
        for n, (title, page) in enumerate(outline):
            nearby = f"/Prev {items[n - 1]} 0 R " if n else ""
            nearby += f"/Next {items[n + 1]} 0 R " if n + 1 < len(items) else ""
            add(f"<< /Title ({title}) /Parent {root} 0 R {nearby}/Dest [{kids[page]} 0 R /Fit] >>")
        outlines = f" /Outlines {root} 0 R"
    objects[0] = f"<< /Type /Catalog /Pages 2 0 R{outlines} >>".encode()
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    objects[1] = f"<< /Type /Pages /Kids [{listed}] /Count {len(kids)} >>".encode()
    return _pdf_of(objects)


def many_pages(count: int) -> bytes:
    """All of them one page object, as often as it is listed: small, and long."""
    kids = " ".join(["3 0 R"] * count)
    return _pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>",
        ]
    )


def encrypted_pdf() -> bytes:
    """With a standard handler whose user password is not the empty one."""
    secret = "<" + "41" * 32 + ">"
    return _pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>",
            f"<< /Filter /Standard /V 1 /R 2 /O {secret} /U {secret} /P -44 >>".encode(),
        ],
        trailer="/Encrypt 4 0 R /ID [<00><00>]",
    )


def _pdf_of(objects: list[bytes], *, trailer: str = "") -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, data in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, data)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        out += b"%010d 00000 n \n" % place
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\n".encode()
    out += b"startxref\n%d\n%%%%EOF\n" % xref
    return bytes(out)
