"""The texts of the example history: a small heating and cooling business and its customers."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["text", "email", "call"]


class Line(NamedTuple):
    """One message of an episode.

    ``minutes`` is the pause before it. ``text`` is the body, or a call's status; an email has a
    ``subject``.
    """

    kind: Kind
    direction: Literal["inbound", "outbound"]
    minutes: int
    text: str
    subject: str = ""
    photos: int = 0


CUSTOMERS: Final = (
    ("Maria", "Alvarez"),
    ("Tom", "Becker"),
    ("Priya", "Nair"),
    ("Dale", "Whitcomb"),
    ("Aisha", "Khan"),
    ("Lars", "Johansen"),
    ("Renée", "Dubois"),
    ("Marcus", "Hill"),
    ("Yuki", "Tanaka"),
    ("Carol", "Espinoza"),
    ("Owen", "Gallagher"),
    ("Nadia", "Petrova"),
    ("Hank", "Morrison"),
    ("Grace", "Okafor"),
    ("Björn", "Lindqvist"),
    ("Sandra", "McKee"),
    ("Victor", "Ruiz"),
    ("Ellen", "Zhou"),
    ("Paul", "O'Brien"),
    ("Tessa", "Vandermeer"),
    ("Kofi", "Mensah"),
    ("Linda", "Schroeder"),
    ("Ivan", "Kowalski"),
    ("Joy", "Abernathy"),
    ("Ravi", "Desai"),
    ("Megan", "Foster"),
)

WORDS: Final = {
    "unit": ("furnace", "heat pump", "AC", "boiler", "mini split", "water heater"),
    "trouble": (
        "is making a grinding noise",
        "won't turn on",
        "is blowing cold air",
        "is leaking onto the floor",
        "keeps short cycling",
        "smells like something is burning",
    ),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "time": ("8 am", "9:30", "11 am", "1 pm", "2:30", "4 pm"),
    "tech": ("Luis", "Dana", "Pete", "Kim"),
    "part": ("blower motor", "igniter", "capacitor", "thermostat", "expansion valve", "filter"),
    "price": ("$145", "$289", "$420", "$1,180", "$96.50", "$3,950"),
    "thanks": ("Thank you so much!", "Perfect, thanks 🙏", "Great, see you then.", "ok thx", "👍"),
    "street": ("Maple", "Willow Creek", "5th", "Harbor", "Old Mill"),
}
"""What stands for the names in braces."""

EPISODES: Final[tuple[tuple[Line, ...], ...]] = (
    (
        Line("text", "inbound", 0, "Hi, this is {first}. Our {unit} {trouble}. Can someone come?"),
        Line("text", "outbound", 7, "Hi {first}! Sorry to hear. {tech} is free {day} at {time}?"),
        Line("text", "inbound", 12, "{day} works. {thanks}"),
        Line("text", "outbound", 1440, "Reminder: {tech} will be with you {day} at {time}."),
        Line("text", "outbound", 1500, "All done. It was the {part}. Anything else, just text us."),
        Line("text", "inbound", 55, "{thanks}"),
    ),
    (
        Line("call", "inbound", 0, "voicemail"),
        Line("call", "outbound", 35, "no-answer"),
        Line("text", "outbound", 2, "Hi {first}, we missed your call. How can we help?"),
        Line("text", "inbound", 90, "The {unit} {trouble} again. Here is a picture.", photos=1),
        Line("text", "outbound", 20, "Looks like the {part}. {tech} can come {day} at {time}."),
    ),
    (
        Line("call", "inbound", 0, "completed"),
        Line(
            "email",
            "outbound",
            180,
            "Hi {first},\n\nas discussed, replacing the {part} in your {unit} comes to {price}, "
            "parts and labor. The quote is good for 30 days.\n\nBest,\n{tech}",
            "Your quote for the {unit}",
        ),
        Line(
            "email",
            "inbound",
            1560,
            "Hi {tech},\n\n{price} is fine with us. Could you do it on {day}?\n\n{first} {last}",
            "Re: Your quote for the {unit}",
        ),
        Line("text", "outbound", 40, "You're booked for {day}, {time}. {tech} will call ahead."),
        Line("call", "outbound", 2900, "answered"),
    ),
    (
        Line(
            "email",
            "outbound",
            0,
            "Hi {first},\n\nit has been a year since we serviced your {unit}. "
            "A tune-up before the season costs {price}; reply to book.\n\nRiverbend Air",
            "Time for your yearly tune-up",
        ),
        Line(
            "text", "inbound", 700, "Got your email. Yes please, any {day}. Still on {street} St."
        ),
        Line("text", "outbound", 15, "Done! {day} at {time} with {tech}."),
        Line("text", "inbound", 3, "{thanks}"),
    ),
    (
        Line("text", "outbound", 0, "Hi {first}, your invoice of {price} is ready. Card or check?"),
        Line("text", "inbound", 240, "Card. Can you take it over the phone?"),
        Line("call", "outbound", 10, "busy"),
        Line("call", "outbound", 25, "completed"),
        Line(
            "email",
            "outbound",
            5,
            "Hi {first},\n\nthank you for your payment of {price}. Your receipt is attached.\n\n"
            "Riverbend Air, {street} St.",
            "Receipt for your payment",
            photos=1,
        ),
    ),
    (
        Line("text", "inbound", 0, "Do you also service {unit}s from other brands?"),
        Line("text", "outbound", 30, "We do! Send us a photo of the label and we'll have a look."),
        Line("text", "inbound", 45, "Here you go, front and back", photos=2),
        Line("text", "outbound", 60, "Thanks! A {part} for that one is about {price} installed."),
        Line("text", "inbound", 5, "ok let me think about it"),
    ),
    (
        Line("call", "outbound", 0, "no-answer"),
        Line("call", "outbound", 1400, "failed"),
        Line("text", "outbound", 4, "{first}, we can't reach you. Is {day} {time} still ok?"),
        Line("call", "inbound", 65, "canceled"),
        Line("text", "inbound", 2, "sorry was driving. yes still ok"),
    ),
)
