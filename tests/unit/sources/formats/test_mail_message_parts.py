from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage

import pytest

from leadconnector_async.sources.formats.mbox import MailContent


def parts(mail: EmailMessage | bytes) -> tuple[MailContent, list[str]]:
    """Take a mail apart as it comes over the wire."""
    raw = mail if isinstance(mail, bytes) else mail.as_bytes()
    warnings: list[str] = []
    content = MailContent(warnings.append)
    content.add(message_from_bytes(raw))
    return content, warnings


def _mail(text: str = "text") -> EmailMessage:
    mail = EmailMessage()
    mail.set_content(text)
    return mail


def test_a_plain_mail_is_its_text() -> None:
    """Decoded, and without the empty line at its end."""
    content, warnings = parts(_mail("grün\n\n"))
    assert (content.text("text/plain"), content.text("text/html"), content.files, warnings) == (
        "grün",
        None,
        [],
        [],
    )


def test_an_alternative_has_both_forms() -> None:
    """And what goes with the HTML is attached."""
    mail = _mail()
    mail.add_alternative("<p>html</p>", subtype="html")
    html = mail.get_payload(1)
    assert isinstance(html, EmailMessage)
    html.add_related(b"png", "image", "png", cid="<x>", filename="logo.png")
    content, _ = parts(mail)
    assert (content.text("text/plain"), content.text("text/html")) == ("text", "<p>html</p>")
    assert [(file.name, file.content) for file in content.files] == [("logo.png", b"png")]


def test_of_two_forms_of_one_kind_the_last_counts() -> None:
    """Writers put the best one last; other kinds of text are the same once more."""
    mail = _mail("first")
    mail.add_alternative("second")
    mail.add_alternative("BEGIN:VCALENDAR", subtype="calendar")
    content, warnings = parts(mail)
    assert (content.text("text/plain"), content.files, warnings) == ("second", [], [])


@pytest.mark.parametrize(
    ("encoding", "coded", "text", "warned"),
    [
        ("base64", "aGVsbG8gd29y bGQ=", "hello world", 0),
        ("BASE64 (in lines)", "aGVsbG8=", "hello", 0),
        ('"quoted-printable"', "a=3Db", "a=b", 0),
        ("base64", "aGVsbG8=\nd29ybGQ=", "helloworld", 1),
        ("base64", "aGVsbG8=d29ybGQ=", "helloworld", 1),
        ("base64", "aGVsbG8=\n\n-- \nA list's footer\n", "hello\n--\nA list's footer", 1),
        ("base64", "aGVsbG8=\nBest\nThanks", "hello\nBest\nThanks", 1),
        ("base64", "aGVsbG8gd29ybGQgaGVsbG8gd29yb", "hello world hello wor", 1),
        ("base64", "aGVsbG8", "hello", 1),
    ],
)
def test_base64_is_read_to_its_end_and_behind_it(
    encoding: str, coded: str, text: str, warned: int
) -> None:
    """Lists and relays join texts to one; one that is cut was taken for its own text."""
    head = f"Content-Type: text/plain\nContent-Transfer-Encoding: {encoding}\n\n"
    content, warnings = parts(f"{head}{coded}\n".encode())
    assert content.text("text/plain") == text
    assert len(warnings) == warned


def test_a_file_in_base64_that_is_cut_is_told() -> None:
    """What is there is sent, and what is none of base64 is not taken for a text behind it."""
    head = "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"
    content, warnings = parts(f"{head}YWJj\n*\nYWJjZ".encode())
    assert [file.content for file in content.files] == [b"abcabc"]
    assert len(warnings) == 1


def test_several_texts_are_joined() -> None:
    """A list adds a footer, some programs write text around pictures."""
    mail = _mail("before")
    mail.make_mixed()
    mail.attach(_mail("after"))
    content, _ = parts(mail)
    assert content.text("text/plain") == "before\nafter"


@pytest.mark.parametrize(
    ("kind", "filename", "name"),
    [
        ("application/pdf", "Bill 7.PDF", "Bill 7.PDF"),
        ("application/pdf", None, "attachment.pdf"),
        ("image/jpeg", "photo", "photo.jpg"),
        ("text/csv", "sheet.csv", "sheet.csv"),
        ("text/plain", "notes.txt", "notes.txt"),
        ("application/octet-stream", "a.docx", "a.docx"),
        ("image/png", "../../etc/x\0:y.png", "x_y.png"),
        ("image/png", "C:\\pictures\\me.png", "me.png"),
        ("image/png", ".. ", "attachment.png"),
        ("image/png", "grün.png", "grün.png"),
        ("image/png", "ü" * 200 + ".png", "ü" * 48 + ".png"),
    ],
)
def test_attachments_get_names_that_are_safe(kind: str, filename: str | None, name: str) -> None:
    """And an ending that the API takes. Texts are texts, whatever they are called."""
    mail = _mail()
    main, sub = kind.split("/")
    mail.add_attachment(b"x", main, sub, filename=filename)
    content, warnings = parts(mail)
    assert [file.name for file in content.files] == [name]
    assert warnings == []


def test_what_is_left_out_is_said() -> None:
    """Empty, or of no use without the mail."""
    mail = b"Content-Type: multipart/mixed; boundary=b\n"
    for kind, data in (("pdf", b""), ("pgp-signature", b"x")):
        mail += b"\n--b\nContent-Type: application/" + kind.encode() + b"\n\n" + data
    content, warnings = parts(mail + b"\n--b--\n")
    assert content.files == []
    assert [warning.split(":")[0] for warning in warnings] == [
        "empty attachments",
        "signatures of mails",
    ]


def test_attachments_that_apple_mail_keeps_apart_are_not_called_empty() -> None:
    """They are whole, in another folder: the notice says how they come along."""
    mail = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: image/png\n"
    content, warnings = parts(mail + b"X-Apple-Content-Length: 12345\n\n\n--b--\n")
    assert (content.text("text/plain"), content.files) == ("hi", [])
    assert [warning.split(" (")[0] for warning in warnings] == [
        "attachments that Apple Mail keeps apart from its mails"
    ]


def test_an_empty_form_of_a_text_is_not_taken_for_the_best_one() -> None:
    """It came last, as behind an invitation, and the text was lost."""
    mail = b"Content-Type: multipart/alternative; boundary=b\n\n--b\n\nhi\n--b\n\n \n--b--\n"
    content, _ = parts(mail)
    assert content.text("text/plain") == "hi"


def test_a_mail_in_a_mail_is_kept_as_text() -> None:
    """Its own texts are not those of the mail that it is in."""
    inner = _mail("inner text")
    inner["Subject"] = "inner"
    mail = _mail("outer")
    mail.add_attachment(inner)
    content, _ = parts(mail)
    assert content.text("text/plain") == "outer"
    assert [file.name for file in content.files] == ["forwarded mail.txt"]
    assert b"inner text" in content.files[0].content


def test_a_mail_without_its_boundary_is_all_text() -> None:
    """As mails are that a program has cut."""
    content, _ = parts(b"Content-Type: multipart/mixed\n\nhello\n")
    assert content.text("text/plain") == "hello"


def test_depth_is_bounded() -> None:
    """However a mail was made."""
    mail = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth)
        for depth in range(60)
    )
    content, warnings = parts(mail + b"\nhello\n")
    assert not any((*content.texts.values(), content.files))
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Type: image/png; name="=?utf-8?Q?caf=C3=A9.png?="',
        b'Content-Type: image/png\nContent-Disposition: inline; filename="=?utf8?B?Y2Fmw6kucG5n?="',
        b"Content-Type: image/png\nContent-Disposition: inline; filename*=utf-8''caf%C3%A9.png",
    ],
)
def test_names_of_files_are_decoded_however_they_are_written(head: bytes) -> None:
    """By RFC 2231, and by RFC 2047, which many programs take though it is not for names."""
    content, _ = parts(head + b"\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n")
    assert [file.name for file in content.files] == ["caf\u00e9.png"]
