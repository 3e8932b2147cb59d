"""A page as a tree, read by a parser that knows nothing of how it was written."""

from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = {"meta", "img", "input"}


class _Tree(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.builder, self.open = ElementTree.TreeBuilder(), []

    def handle_starttag(self, tag, attributes):
        self.builder.start(tag, {name: value or "" for name, value in attributes})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, "elements overlap"
        self.builder.end(tag)

    def handle_data(self, data):
        if self.open:
            self.builder.data(data)


def parse(text):
    """The root element; ``AssertionError`` where an element is not closed."""
    tree = _Tree()
    tree.feed(text)
    tree.close()
    assert not tree.open, tree.open
    return tree.builder.close()


def read(element):
    """All text in an element."""
    return "".join(element.itertext())


def rows(table):
    """The texts of all cells, row by row."""
    return [[read(cell) for cell in row] for row in table.iter("tr")]


def table_of(page, label):
    """The table in the region that is called so."""
    return page.find(f".//div[@aria-label='{label}']/table")
