"""Checks that a page is well-formed, stands alone, and shows the given texts: check_page.py PAGE TEXTS.json

Prints the number of pictures.
"""

import base64
import json
import struct
import sys
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.images = [], [], []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), f"{tag}: an attribute twice"
        assert tag not in ("script", "link", "iframe", "object"), f"{tag} in a page without any"
        for name, value in attributes:
            assert not name.startswith("on"), f"{tag} has {name}"
            if name in ("src", "href"):
                assert value.startswith("data:image/"), f"{tag} loads {value[:80]}"
        if tag == "img":
            self.images.append(dict(attributes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def png_size(uri):
    data = base64.b64decode(uri.split(",", 1)[1], validate=True)
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data.endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", data[16:24])


with open(sys.argv[1], encoding="utf-8") as file:
    source = file.read()
assert source.startswith("<!DOCTYPE html>")
assert "url(" not in source and "@import" not in source
page = Page()
page.feed(source)
page.close()
assert not page.open, f"never closed: {page.open}"
text = "".join(page.text)
with open(sys.argv[2], encoding="utf-8") as file:
    for wanted in json.load(file):
        assert wanted in text, f"{wanted!r} is not shown"
for image in page.images:
    width, height = png_size(image["src"])
    assert int(image["width"]) == (2 * width if height < 80 else width) and image["alt"]
print(len(page.images))
