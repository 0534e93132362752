"""The detectors beside the model: every clear wording is found, and nothing that only sounds like one."""

import pytest

from voice.session import wordings

STOP = {
    "en": [
        "Stop.", "Stop!", "Please stop.", "stop, stop, stop", "Quit", "end", "Revoke.", "Opt out.", "Cancel",
        "unsubscribe", "Unsubscribe me, please.", "Stop calling me.", "Please stop calling.", "quit calling us",
        "Don't call me again.", "Don’t call me anymore!", "Do not call me any more, please.", "Never call me again.",
        "No. Please do not call me again, and take my number off your list.", "Take me off your list.",
        "take me off of your calling list right now", "Remove me from your list.", "Remove my number, please.",
        "Could you remove us from the list?", "Delete my number from your system.", "I want to opt out.",
        "Please opt me out of this.", "Put me on the do not call list.", "I revoke my consent.",
        "I don't want any more calls.", "I do not want these calls.", "I don't want to be called.",
        "We don't want you to call.", "Lose my number.", "Leave me alone!", "no more calls", "Stop these calls.",
        "Don't ever call here again.", "Do not contact me again.", "Not now, and never call me again.",
        "Don't call me at this number.", "I said stop.", "Okay, please just stop.", "Stop contacting me.",
    ],
    "es": [
        "No me llame más.", "No me llamen nunca más.", "No vuelva a llamarme.", "Deje de llamarme.", "Basta.",
        "Quíteme de su lista.", "Borre mi número.", "Quiero darme de baja.", "No quiero más llamadas.", "Pare.",
        "No quiero que me llamen.", "Déjenme en paz.", "Por favor, no me llamen más.",
    ],
    "de": [
        "Stopp.", "Rufen Sie mich nicht mehr an.", "Bitte rufen Sie nie wieder an!", "Ruf mich nicht mehr an.",
        "Ich möchte nicht mehr angerufen werden.", "Streichen Sie mich von der Liste.", "Keine Anrufe mehr.",
        "Löschen Sie meine Nummer.", "Hören Sie auf mich anzurufen.", "Lassen Sie mich in Ruhe.", "Abmelden",
        "Hiermit widerrufe ich meine Einwilligung.", "Nehmen Sie mich aus Ihrer Liste.",
    ],
    "fr": [
        "Stop.", "Ne m'appelez plus.", "Ne me rappelez plus jamais.", "Arrêtez de m'appeler.", "Arrêtez.",
        "Retirez-moi de votre liste.", "Supprimez mon numéro.", "Plus d'appels.", "Laissez-moi tranquille.",
        "Je retire mon consentement.", "Désabonnez-moi.", "Ne m'appelez plus, s'il vous plaît.",
    ],
    "pt": [
        "Pare.", "Não me ligue mais.", "Não liguem mais para mim.", "Parem de me ligar.", "Chega.",
        "Tire meu número da lista.", "Não quero mais ligações.", "Remova meu número.", "Me deixem em paz.",
        "Não me ligue nunca mais.",
    ],
    "it": [
        "Basta.", "Non chiamatemi più.", "Non mi chiami più.", "Smettetela di chiamarmi.", "Toglietemi dalla lista.",
        "Cancellate il mio numero.", "Non voglio più chiamate.", "Lasciatemi in pace.", "Revoco il consenso.",
        "Non mi chiamate mai più.", "Basta telefonate.",
    ],
    "nl": [
        "Stop.", "Bel me niet meer.", "Bel nooit meer.", "Ik wil niet meer gebeld worden.", "Stop met bellen.",
        "Haal me van de lijst.", "Verwijder mijn nummer.", "Geen telefoontjes meer.", "Laat me met rust.",
        "Schrijf me uit.", "Bel mij alstublieft niet meer.",
    ],
}  # fmt: skip

NOT_STOP = {
    "en": [
        "Don't stop.", "Please don't stop, this is interesting.", "I can stop by on Tuesday.", "Stop by my office.",
        "Cancel my other meeting and book this one.", "I have to cancel my other meeting.", "We need to end this quarter.",
        "At the end of the month.", "The bus stop is near.", "Non-stop deliveries.", "We stop production in June.",
        "Don't call me before nine.", "Don't call me on Monday, call me on Tuesday.", "Not now, call me tomorrow.",
        "Please don't call me so late.", "Call me back next week.", "I never call them.", "We don't call it that.",
        "Don't call me Bob, my name is Robert.", "Can you take that off the price?", "Remove the setup fee.",
        "We want to quit our old supplier.", "How do I unload it?", "Don't worry.", "Yes, go on.",
        "Could you call my colleague instead?", "We can't stop now, can we?", "It never stops raining.",
        "I wanted to call you.", "We don't need a trial.", "I'll call you when I'm done.", "Who is calling?",
        "No, thank you.", "I'm not interested right now.", "Take your time.", "Take me through it from the start.",
        "Let's end on a good note.", "The contract can be cancelled any time?",
    ],
    "es": ["No pare, siga.", "Llámeme mañana.", "No me llame antes de las nueve.", "Vale, siga.", "Para el martes está bien."],
    "de": ["Rufen Sie mich morgen an.", "Ich rufe Sie zurück.", "Nicht vor neun Uhr bitte.", "Wir hören nicht auf.",
           "Die Bushaltestelle ist dort."],
    "fr": ["Appelez-moi demain.", "Ne vous arrêtez pas.", "Je vous écoute.", "Rappelez-moi plus tard."],
    "pt": ["Ligue-me amanhã.", "Pode continuar.", "Para mim está bom.", "Não tenho tempo agora."],
    "it": ["Mi chiami domani.", "Continui pure.", "Non ho tempo adesso.", "Mi richiami più tardi."],
    "nl": ["Bel me morgen.", "Gaat u verder.", "Ik heb nu geen tijd.", "De bushalte is daar."],
}  # fmt: skip


def _cases(by_language: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(language, text) for language, texts in by_language.items() for text in texts]


@pytest.mark.parametrize(("language", "text"), _cases(STOP))
def test_a_clear_wish_is_found(language: str, text: str) -> None:
    assert wordings.wants_no_calls(text, language)


@pytest.mark.parametrize(("language", "text"), _cases(NOT_STOP))
def test_what_only_sounds_like_one_is_none(language: str, text: str) -> None:
    assert not wordings.wants_no_calls(text, language)


def test_whoever_calls_us_may_say_a_single_word_about_something_else() -> None:
    assert not wordings.wants_no_calls("Cancel.", single_words=False)
    assert wordings.wants_no_calls("Stop calling me.", single_words=False)


def test_a_wish_in_another_language_than_the_calls_is_found() -> None:
    assert wordings.wants_no_calls("No me llame más.", "en")
    assert wordings.wants_no_calls("Stop calling me.", "de")


@pytest.mark.parametrize("text", ["", " ", "...", "\u0000", "x" * 100_000, "\ud800 stop it now"])
def test_anything_may_come(text: str) -> None:
    wordings.wants_no_calls(text)
    wordings.answered_by(text)
    wordings.says_yes(text)


@pytest.mark.parametrize(
    "text",
    [
        "Don't record me.", "Please do not record this call.", "Stop recording.", "I don't want to be recorded.",
        "Turn off the recording.", "I do not consent to being recorded.", "No me grabe.", "No quiero ser grabado.",
        "Ich möchte nicht aufgezeichnet werden.", "Bitte nicht aufnehmen.", "Ne m'enregistrez pas.",
        "Não me grave.", "Non mi registrate.", "Neem me niet op.",
    ],
)  # fmt: skip
def test_an_objection_to_the_recording_is_found(text: str) -> None:
    assert wordings.objects_to_recording(text)


@pytest.mark.parametrize(
    "text",
    ["Is this call recorded?", "We had a record year.", "Record sales.", "Put it on the record.", "Hello?"],
)
def test_a_question_about_it_is_no_objection(text: str) -> None:
    assert not wordings.objects_to_recording(text)


@pytest.mark.parametrize(
    ("text", "language", "yes"),
    [
        ("Yes.", "en", True), ("Sure, go ahead.", "en", True), ("Okay.", "en", True), ("Ja, gerne.", "de", True),
        ("Sí, claro.", "es", True), ("Oui.", "fr", True), ("Sim.", "pt", True), ("Va bene.", "it", True),
        ("No.", "en", False), ("Yes, but not the recording.", "en", False), ("Who are you?", "en", False),
        ("Nein.", "de", False), ("Ja, aber nicht aufzeichnen.", "de", False), ("", "en", False),
    ],
)  # fmt: skip
def test_a_yes_is_a_yes_and_nothing_else(text: str, language: str, yes: bool) -> None:
    assert wordings.says_yes(text, language) is yes


MACHINES = [
    "You have reached the voice mail of Elena Rossi. Please leave a message after the tone.",
    "Hi, this is Tom. I can't come to the phone right now, leave a message and I'll get back to you.",
    "The person you have called is not available. At the tone, please record your message.",
    "Your call has been forwarded to an automated voice messaging system.",
    "Este es el contestador de Ana. Deje su mensaje después de la señal.",
    "Sie haben die Mailbox von Jan. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
    "Vous êtes bien sur la messagerie de Paul, laissez un message après le bip sonore.",
    "Você ligou para a Ana. Deixe seu recado após o sinal.",
    "Risponde la segreteria telefonica. Lasciate un messaggio dopo il segnale acustico.",
    "Dit is de voicemail van Jan. Spreek een bericht in na de piep.",
]
PEOPLE = [
    "Hello?", "Daniel Okafor speaking.", "You have reached accounting, how can I help you?", "Becker here.",
    "Acme Plumbing, this is Susan, how may I help you?", "Hi, who is this?", "Guten Tag, Müller.",
    "He is not available, can I take a message?", "Yes, speaking.", "Allô ?", "Pronto?", "Met Jansen.",
]  # fmt: skip


@pytest.mark.parametrize("text", MACHINES)
def test_a_machine_is_told_by_its_words(text: str) -> None:
    assert wordings.answered_by(text) == "machine"


@pytest.mark.parametrize("text", PEOPLE)
def test_a_person_is_not_taken_for_one(text: str) -> None:
    assert wordings.answered_by(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Hi, if you record your name and reason for calling, I'll see if this person is available.",
        "The person you're calling is using a screening service. Please state your name and why you're calling.",
        "Bitte nennen Sie Ihren Namen und den Grund Ihres Anrufs.",
        "Dites votre nom et le motif de votre appel.",
    ],
)
def test_call_screening_is_told_by_its_words(text: str) -> None:
    assert wordings.answered_by(text) == "screening"
