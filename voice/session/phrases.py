"""The wordings behind :mod:`voice.session.wordings`, by language: data, reviewed as such.

Patterns see plain text: lower case, no accents, ` . ` for any mark between words. They are looked for at the
beginnings of words. docs/opening_and_stop.md lists what they stand for.
"""

from typing import Final

STOP_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("stop", "quit", "end", "revoke", "cancel", "unsubscribe", "opt out", "optout", "opt me out",
           "stop it", "stop this", "stop now", "stop calling", "remove", "remove me"),
    "es": ("alto", "basta", "para", "pare", "parar", "cancelar", "cancela", "baja", "darme de baja", "detener"),
    "de": ("stopp", "stop", "halt", "aufhoren", "schluss", "abmelden", "austragen", "widerruf", "loschen"),
    "fr": ("stop", "arretez", "arrete", "arreter", "annuler", "desabonner", "desinscrire", "assez"),
    "pt": ("pare", "parar", "parem", "cancelar", "cancela", "chega", "sair", "descadastrar", "basta"),
    "it": ("stop", "basta", "ferma", "fermati", "fermatevi", "annulla", "cancella", "cancellami", "disiscrivi"),
    "nl": ("stop", "stoppen", "ophouden", "afmelden", "uitschrijven", "annuleren", "annuleer", "genoeg"),
}  # fmt: skip
"""Alone, between words of politeness, these end everything."""

FILLERS: Final = frozenset(
    [
        "please",
        "just",
        "now",
        "i",
        "said",
        "ok",
        "okay",
        "hey",
        "hello",
        "hi",
        "no",
        "yes",
        "well",
        "oh",
        "uh",
        "um",
        "um",
        "sorry",
        "sir",
        "madam",
        "thanks",
        "thank",
        "you",
        "por",
        "favor",
        "ya",
        "hola",
        "si",
        "senor",
        "senora",
        "gracias",
        "bitte",
        "jetzt",
        "nein",
        "ja",
        "hallo",
        "danke",
        "sofort",
        "einfach",
        "merci",
        "s'il",
        "s",
        "il",
        "vous",
        "plait",
        "te",
        "non",
        "oui",
        "bonjour",
        "maintenant",
        "obrigado",
        "obrigada",
        "nao",
        "sim",
        "ola",
        "agora",
        "per",
        "favore",
        "adesso",
        "grazie",
        "ciao",
        "pronto",
        "alstublieft",
        "graag",
        "nu",
        "nee",
        "dank",
        "je",
        "u",
    ]
)

_AGAIN_EN = (
    r"(?:$| \.| (?:again|any ?more|ever|back|please|here|at all|about|with this|on this|at this|and|or|i|we"
    r"|thanks?|ok|okay|no|from now)\b)"
)
NO_CALLS: Final[dict[str, str]] = {
    "en": "|".join(
        (
            rf"(?:don't|do not|dont|never|please not) (?:ever |you |dare |keep |try to )*"
            rf"(?:call|phone|ring|dial|contact|bother|disturb)(?:ing)? (?:me|us){_AGAIN_EN}",
            r"(?:don't|do not|dont|never) (?:ever |you )*(?:call|phone|ring|dial|contact)(?:ing)?"
            r" (?:again|any ?more|here|this number|my number|our number|this phone|my phone|this house)",
            r"(?:stop|quit) (?:calling|phoning|ringing|dialing|contacting|bothering|harassing)"
            r"(?:$| \.| (?:me|us|this|here|my|our|again|please|now|and)\b)",
            r"(?:stop|no more|end) (?:all |these |those |the |your |any |further |future )*(?:phone )?calls",
            r"(?:take|remove|delete|erase|strike|drop|get|pull) (?:me|us|(?:my|our|this|that|the)"
            r"(?: (?:phone|name|number|contact|details|data|and))+)"
            r" (?:off|from)(?: of)? (?:your|the|this|that|all|any)",
            r"(?:take|remove|delete|erase) (?:me|my number|my name|our number|this number)"
            r"(?:$| \.| (?:please|now|immediately|completely|at once|and|off|from)\b)",
            r"unsubscribe(?: me| us| this| my)?|opt(?:ing)? (?:me |us )?out|opt out",
            r"do not call (?:list|register|registry)|don't call (?:list|registry)|no call list",
            r"(?:revoke|withdraw) (?:my |our |all |any |the )*(?:consent|permission)",
            r"(?:don't|do not|dont|never) (?:ever )?want (?:(?:any|more|any more|these|those|your|such|to get"
            r"|to receive|to have|to take|further) )+(?:phone )?calls?",
            r"(?:don't|do not|dont|never) (?:ever )?want (?:to be called|you (?:to call|calling)|to hear from you"
            r"|anyone calling)",
            r"(?:lose|forget|delete) (?:my|this|our) (?:phone )?number",
            r"leave (?:me|us) alone",
        )
    ),
    "es": "|".join(
        (
            r"no (?:me |nos |vuelva[ns]? a |quiero que |quiero que me |deben |debe )*"
            r"(?:llame[ns]?|llamen|llamar(?:me|nos)?|llameis|contacte[ns]?|molest(?:e|en|ar|arme))"
            r"(?: (?:mas|nunca|otra vez|de nuevo|a este|por favor|jamas))?(?:$| \.| (?:mas|nunca|a|y|ni|por|otra)\b)",
            r"(?:deje|dejen|deja|dejad|pare|paren|para) de (?:llamar|llamarme|llamarnos|molestar|molestarme)",
            r"(?:quiteme|quitenme|quite|quiten|borre|borren|borreme|elimine|eliminen|elimineme|saque|saquen|saqueme)"
            r"(?: (?:me|mi|este|nuestro|el))?(?: (?:numero|nombre|telefono))?(?: de (?:su|la|esta|tu|sus)|$| \.)",
            r"(?:darme|dame|deme|denme|quiero la|dar) de baja|no quiero (?:mas|recibir|estas|sus) (?:mas )?llamadas",
            r"no quiero que me (?:llame|llamen|vuelvan)|revoco (?:mi|el) consentimiento|dejen?me en paz",
        )
    ),
    "de": "|".join(
        (
            r"(?:rufen|ruf|ruft) (?:sie |mich |uns |hier |bitte |mir |mich bitte )*"
            r"(?:nie|nicht|niemals|nimmer)(?: wieder| mehr| nochmal| noch mal)* (?:an|mehr an|wieder an)",
            r"(?:nicht|nie|niemals)(?: mehr| wieder| nochmal| weiter)* (?:angerufen|anrufen|anzurufen|kontaktieren"
            r"|belastigen|belastigt)",
            r"keine (?:weiteren |solchen |werbe)*anrufe|horen sie (?:bitte )?auf (?:mich |uns )?"
            r"(?:anzurufen|zu belastigen)|horen sie (?:bitte )?(?:auf|damit auf)(?: mich)?(?: anzurufen)?$",
            r"(?:streichen|loschen|nehmen|entfernen|tragen) sie (?:bitte )?(?:mich|uns|meine|unsere|diese|die)"
            r"(?: (?:bitte|nummer|telefonnummer|daten|namen))*(?: bitte)?(?: (?:aus|von|raus|heraus|$)|$| \.)",
            r"(?:widerrufe|widerruf) (?:ich )?(?:hiermit )?(?:meine|die|der) (?:einwilligung|zustimmung)",
            r"lassen sie (?:mich|uns) (?:bitte )?in ruhe|von (?:ihrer|der|dieser) (?:anruf)?liste (?:streichen|nehmen)",
        )
    ),
    "fr": "|".join(
        (
            r"ne (?:me |nous |m')?(?:rappelez|rappelle|appelez|appelle|contactez|telephonez|derangez)"
            r"(?: (?:plus|jamais|pas))(?: (?:jamais|jamais plus))?(?:$| \.| (?:s'il|sur|a|merci|jamais|ici|et|ce)\b)",
            r"ne (?:plus|jamais|pas) (?:m'|me |nous |m )?(?:re)?(?:appeler|contacter|telephoner)",
            r"(?:arretez|arrete|cessez|cesse) (?:de |d' ?|s'il vous plait de )?"
            r"(?:m'|me |nous )?(?:appeler|rappeler|telephoner|harceler|deranger|vos appels|ces appels)",
            r"(?:retirez|enlevez|supprimez|effacez|rayez|otez)(?: moi| nous)?"
            r"(?: (?:mon|le|ce|notre|mes))?(?: (?:numero|nom|coordonnees|telephone))?"
            r"(?: s'il vous plait)?(?: (?:de|du) (?:votre|vos|la|cette|fichier)|$| \.)",
            r"plus (?:d'|de |aucun )?appels?|desabonn(?:ez|er)|desinscri(?:vez|re)",
            r"(?:retire|revoque) (?:mon|le) consentement|laissez (?:moi|nous) tranquilles?|foutez (?:moi )?la paix",
        )
    ),
    "pt": "|".join(
        (
            r"nao (?:me |nos |quero que |quero que me |voltem? a |precisa |precisam )*"
            r"(?:ligue|liguem|ligar|telefone[m]?|telefonar|contacte[m]?|contate[m]?|incomode[m]?|perturbe[m]?)"
            r"(?: (?:mais|nunca|de novo|outra vez|para (?:mim|este|esse|ca)))*(?:$| \.| (?:mais|nunca|por|e|nem|para)\b)",
            r"(?:parem?|deixem?|deixa) de (?:me |nos )?(?:ligar|telefonar|incomodar|chamar)",
            r"(?:retirem?|removam?|remove|tirem?|apaguem?|excluam?|exclui)(?: (?:me|o|meu|este|esse))*"
            r"(?: (?:numero|nome|telefone))?(?: d[aeo]s? (?:sua|vossa|seu|lista|cadastro)| da lista|$| \.)",
            r"nao quero (?:mais |receber |estas |essas |nenhuma )*(?:chamadas|ligacoes)|me (?:deixem?|deixa) em paz",
            r"(?:cancelar|cancele|revogo|retiro) (?:a |o )?(?:meu )?(?:consentimento|autorizacao|cadastro)"
            r"|descadastr(?:ar|e)",
        )
    ),
    "it": "|".join(
        (
            r"non (?:mi |ci |voglio che |voglio che mi |dovete |deve )*"
            r"(?:chiamate|chiami|chiamare|chiamarmi|chiamarci|chiamatemi|telefonate|telefoni|richiami|richiamate"
            r"|contattate|contatti|contattatemi|disturbate|disturbi|richiamatemi)"
            r"(?: (?:piu|mai|mai piu|di nuovo|ancora))*(?:$| \.| (?:piu|mai|a|su|e|per|questo)\b)",
            r"(?:smettetela|smettila|smetta|smettete|basta|la smetta) (?:di )?"
            r"(?:chiamar(?:mi|ci|e)|telefonar(?:mi|ci|e)|disturbar(?:mi|ci|e)|con (?:le|queste) (?:chiamate|telefonate))",
            r"(?:toglietemi|toglimi|tolga|togliete|cancellatemi|cancelli|cancellate|rimuovete|rimuovetemi|rimuova"
            r"|eliminate|elimini)(?: (?:il|mio|questo|numero|nome|il mio))*"
            r"(?: (?:dalla|dall'|dalle|dai|da) ?(?:vostra|sua|lista|elenco|questa|vostre|vostri)|$| \.)",
            r"non voglio (?:piu |ricevere |altre |queste )+(?:chiamate|telefonate)|lasciatemi (?:in pace|stare)",
            r"(?:revoco|ritiro) (?:il )?(?:mio )?consenso|basta (?:chiamate|telefonate)",
        )
    ),
    "nl": "|".join(
        (
            r"(?:bel|belt|bellen|contacteer|benader) (?:u |me |mij |ons |alstublieft |hier |dit nummer )*"
            r"(?:niet|nooit)(?: meer| weer| nog)*(?:$| \.| (?:op|terug|alstublieft|en|hier)\b)",
            r"niet(?: meer| langer| nog eens)+ (?:gebeld|bellen|gecontacteerd|benaderd|te bellen)"
            r"|nooit(?: meer| weer)? (?:gebeld|bellen)",
            r"(?:stop|stopt|hou|houd) (?:u )?(?:op )?met (?:me |mij |ons |dit |het )*"
            r"(?:bellen|opbellen|lastig ?vallen)|geen (?:telefoontjes|oproepen|gesprekken) meer",
            r"(?:haal|verwijder|schrap|wis|streep)(?:t)? (?:u )?(?:alstublieft )?(?:me|mij|ons|mijn|dit|ons)"
            r"(?: (?:nummer|naam|gegevens|telefoonnummer))*(?: (?:van|uit) (?:de|uw|je|jullie)|$| \.)",
            r"(?:schrijf|meld) (?:me|mij|ons) (?:uit|af)|uitgeschreven worden|laat (?:me|mij|ons) met rust",
            r"trek (?:hierbij )?mijn toestemming in|bel me niet register",
        )
    ),
}  # fmt: skip
"""A clear wish not to be called."""

ANOTHER_TIME: Final[dict[str, str]] = {
    "en": (
        r"(?:call|phone|ring) (?:me|us)(?: back)? (?:at|on|in|after|before|later|tomorrow|next|again (?:in|on|at|next"
        r"|tomorrow)|around|this)(?! this number)(?! my (?:cell|mobile|phone))"
        r"|(?:call|phone|ring) (?:me|us) (?:until|till|between|during|while|so (?:late|early)|today|right now|now)"
        r"|call (?:later|tomorrow|next week|another time)|(?:another|a better) time"
    ),
    "es": r"llame(?:me|n|nme)? (?:manana|despues|mas tarde|luego|el|la)|antes de las|despues de las|manana",
    "de": r"(?:rufen|ruf) sie (?:mich )?(?:morgen|spater|nachste|am|um)|vor \w+ uhr|nach \w+ uhr|morgen|spater",
    "fr": r"(?:rap)?pelez (?:moi )?(?:demain|plus tard|la semaine|lundi|mardi|apres|vers)|avant \w+ heures?|demain",
    "pt": r"ligue (?:me )?(?:amanha|depois|mais tarde)|antes das|depois das|amanha|mais tarde",
    "it": r"(?:ri)?chiam(?:i|ate)(?:mi)? (?:domani|piu tardi|dopo)|prima delle|dopo le|domani|piu tardi",
    "nl": r"bel (?:me )?(?:morgen|later|volgende)|voor \w+ uur|na \w+ uur|morgen|later",
}
"""A wish about the hour."""

NEVER_AGAIN: Final[dict[str, str]] = {
    "en": r"(?:call|contact|phone) (?:me|us|here) (?:again|any ?more|ever)(?! (?:in|on|at|next|tomorrow|until|before))"
    r"|off (?:of )?(?:your|the|this) |from your |never (?:ever )?call|stop calling|unsubscribe|opt out|do not call list",
    "es": r"nunca mas|de su lista|no me llamen? (?:nunca|mas)|de baja",
    "de": r"nie (?:wieder|mehr)|von der liste|aus (?:ihrer|der) liste|nicht mehr an\b",
    "fr": r"plus jamais|de votre liste|jamais plus",
    "pt": r"nunca mais|da (?:sua )?lista",
    "it": r"mai piu|dalla (?:vostra |sua )?lista",
    "nl": r"nooit (?:meer|weer)|van (?:de|uw|jullie) lijst",
}
"""Beside a wish about the hour these win."""

NO_RECORDING: Final[dict[str, str]] = {
    "en": (
        r"(?:don't|do not|dont|stop|quit|without|no) record(?:ing)?(?! (?:low|high|keep|sales))"
        r"|(?:don't|do not|dont|not) (?:want|like|wish|agree|consent)(?: \w+){0,3} (?:record(?:ed|ing)?)"
        r"|(?:turn|switch|shut) (?:off )?(?:the |that |your )?record(?:ing|er)(?: off)?"
        r"|(?:object|objection) to (?:\w+ ){0,3}record|(?:refuse|mind) being recorded|rather not be recorded"
    ),
    "es": r"no (?:me |nos |quiero que (?:me )?|quiero ser |deseo ser )?grab(?:e|en|ar|ado|ada|eis)"
    r"|(?:deje|dejen|pare|paren) de grabar|no quiero (?:que|la) \w+ grab",
    "de": r"(?:nicht|nie) (?:auf(?:zeichnen|nehmen|zunehmen|zuzeichnen)|aufgezeichnet|aufgenommen|mitgeschnitten"
    r"|mitschneiden)|keine (?:aufzeichnung|aufnahme)|(?:aufzeichnung|aufnahme) (?:bitte )?(?:aus|stoppen|beenden)",
    "fr": r"(?:ne |n')?(?:m'|me |nous )?enregistrez pas|pas (?:etre |m'|d')?enregistr(?:e|er|ee|ement)"
    r"|(?:arretez|cessez|coupez) (?:l'|d'|de m')?enregistre(?:ment|r)",
    "pt": r"nao (?:me |nos |quero (?:que )?(?:me )?(?:ser )?)?grav(?:e|em|ar|ado|ada)|parem? de gravar",
    "it": r"non (?:mi |ci |voglio (?:essere |che mi )?)?registr(?:i|ate|are|ato|ata|atemi)"
    r"|(?:smettete|smetta) di registrare",
    "nl": r"niet (?:op(?:nemen|genomen)|op te nemen)|neem (?:me |dit |mij )?niet op|geen opname|stop (?:met )?(?:de )?"
    r"opname(?:n)?",
}

YES_WORDS: Final[dict[str, frozenset[str]]] = {
    "en": frozenset(
        ["yes", "yeah", "yep", "yup", "sure", "ok", "okay", "fine", "agreed", "absolutely", "certainly"]
    ),
    "es": frozenset(["si", "claro", "vale", "bueno", "acuerdo", "perfecto"]),
    "de": frozenset(["ja", "jawohl", "klar", "okay", "gerne", "einverstanden", "naturlich"]),
    "fr": frozenset(["oui", "ouais", "ok", "d'accord", "accord", "bien", "volontiers"]),
    "pt": frozenset(["sim", "claro", "pode", "certo", "ok"]),
    "it": frozenset(["si", "certo", "va", "bene", "ok", "d'accordo"]),
    "nl": frozenset(["ja", "jawel", "prima", "goed", "oke", "akkoord", "hoor"]),
}
YES_PHRASES: Final[dict[str, str]] = {"en": r"go ahead|of course|that is ok|that's ok|no problem|i agree"}
NO_WORDS: Final[dict[str, frozenset[str]]] = {
    "en": frozenset(["no", "nope", "not", "don't", "dont", "never", "stop", "won't"]),
    "es": frozenset(["no", "nunca", "tampoco"]),
    "de": frozenset(["nein", "nicht", "nee", "kein", "keine", "nie"]),
    "fr": frozenset(["non", "pas", "jamais", "refuse"]),
    "pt": frozenset(["nao", "nunca", "nem"]),
    "it": frozenset(["no", "non", "mai"]),
    "nl": frozenset(["nee", "niet", "geen", "nooit"]),
}

SCREENING: Final[dict[str, str]] = {
    "en": (
        r"(?:state|say|record|tell (?:me|us)|give (?:me|us)) (?:\w+ ){0,3}(?:your )?name (?:and|\. and|with)(?: \w+){0,2}"
        r" (?:why|reason|purpose|what)|(?:name and )?reason for (?:your )?calling|why you(?:'re| are) calling"
        r"|(?:call )?screening (?:service|assistant)|screening calls|i'll see if this person is available"
        r"|who(?:'s| is) calling and (?:why|what)"
    ),
    "es": r"diga su nombre y (?:el )?motivo|servicio de filtrado",
    "de": r"(?:nennen|sagen) sie (?:bitte )?ihren namen und (?:den )?grund|grund (?:fur )?ihre[sn]? anruf",
    "fr": r"(?:dites|indiquez|enregistrez) votre nom et (?:le )?(?:motif|pourquoi|la raison)|motif de votre appel",
    "pt": r"diga (?:o )?seu nome e (?:o )?motivo",
    "it": r"(?:dica|dite) il (?:suo|vostro) nome e (?:il )?motivo|motivo della chiamata",
    "nl": r"(?:noem|zeg) uw naam en (?:de )?reden|reden van uw (?:telefoontje|oproep)",
}

VOICEMAIL: Final[dict[str, tuple[str, str]]] = {
    "en": (
        r"(?:leave|record) (?:\w+ ){0,2}(?:a |your )?(?:\w+ )?message|(?:after|at) the (?:tone|beep)|voice ?mail|mailbox"
        r"|can't (?:come to|take|get to|answer) (?:the|your|my)|cannot (?:come to|take|get to|answer) (?:the|your|my)"
        r"|unable to (?:take|answer|come to) (?:the|your)|get back to you as soon|not available (?:right now|at the moment"
        r"|to take)|has been forwarded to|is not in service|mailbox is full",
        r"you(?:'ve| have) reached|not available|unavailable|leave your name|as soon as (?:i|we) can|the tone|press",
    ),
    "es": (
        r"deje (?:su|un|tu) mensaje|despues de (?:la senal|oir el tono|el tono)|buzon de voz|no (?:esta|se encuentra)"
        r" disponible|no puedo atender",
        r"ha llamado al|en este momento|contestador",
    ),
    "de": (
        r"(?:hinterlassen|sprechen) sie (?:\w+ ){0,4}(?:nachricht|auf)|nach dem (?:signalton|piepton|ton|piep)|mailbox"
        r"|anrufbeantworter|(?:nicht|zurzeit|derzeit|momentan) (?:personlich )?(?:erreichbar|zu erreichen)",
        r"sie haben (?:die|den|das)|(?:zurzeit|momentan|derzeit|gerade) nicht|rufe (?:sie )?zuruck",
    ),
    "fr": (
        r"laiss(?:ez|er) (?:\w+ ){0,3}message|apres le (?:bip|signal)|repondeur|messagerie|boite vocale"
        r"|ne (?:suis|sommes) pas (?:disponible|joignable)|pas disponible",
        r"vous etes bien|bip sonore|rappellerai",
    ),
    "pt": (
        r"deixe (?:a sua|o seu|sua|uma|seu|um) (?:mensagem|recado)|apos o (?:sinal|bip|tom)|depois do sinal"
        r"|caixa (?:postal|de mensagens|de correio)|correio de voz|nao (?:esta|estou) disponivel|nao posso atender",
        r"ligou para|neste momento",
    ),
    "it": (
        r"lasci(?:ate|a|are)? (?:\w+ ){0,2}messaggio|dopo il (?:segnale|bip|tono)|segreteria telefonica"
        r"|non (?:e|sono) (?:al momento )?(?:raggiungibile|disponibile)|casella vocale",
        r"avete chiamato|ha chiamato|al momento",
    ),
    "nl": (
        r"(?:spreek|laat) (?:\w+ ){0,4}(?:bericht|boodschap)|na de (?:piep|toon|pieptoon)|voice ?mail|antwoordapparaat"
        r"|niet (?:bereikbaar|aanwezig|beschikbaar)",
        r"u bent verbonden|dit is de|op dit moment",
    ),
}
"""(strong, weak): one strong or two different weak ones make a machine."""

OFFERS_HELP: Final[dict[str, str]] = {
    "en": r"(?:how|what) (?:can|may) (?:i|we)|who(?:'s| is) (?:this|calling|speaking)|can i help",
    "es": r"en que (?:puedo|podemos)|quien (?:es|habla|llama)",
    "de": r"(?:was|wie) kann ich|wer (?:ist|spricht)|womit kann",
    "fr": r"(?:que|comment) puis je|qui est (?:a|ce)|en quoi",
    "pt": r"(?:em que|como) posso|quem (?:e|fala)",
    "it": r"(?:come|cosa) posso|chi (?:parla|e)",
    "nl": r"(?:waarmee|wat|hoe) kan ik|wie (?:is|spreek)|met wie",
}
"""A person who answers like a machine."""

HOLD_ON: Final[dict[str, str]] = {
    "en": r"(?:please )?(?:stay|hold) (?:on )?the line|please (?:hold|wait)|hold on|one moment|connecting|thanks"
    r"|thank you|let me (?:see|check)",
    "es": r"espere|no cuelgue|un momento|gracias",
    "de": r"bitte warten|bleiben sie|einen moment|danke",
    "fr": r"ne quittez pas|patientez|un instant|merci",
    "pt": r"aguarde|um momento|obrigado",
    "it": r"attenda|resti in linea|un attimo|grazie",
    "nl": r"blijf aan|een moment|even geduld|dank",
}
"""What a screening service says between our answer and the person."""
