"""The codes of the languages that the detector knows."""

from collections.abc import Iterable

_CODES = """
af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da
de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id
ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn
mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa
sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa
war wuu xal xmf yi yo yue zh
"""
LANGUAGES = tuple(_CODES.split())
"""All 176 of `lid.176.ftz`: ISO 639-1 where a language has such a code, otherwise ISO 639-3 or Wikipedia's code."""

DEFAULT = ("en",)
"""The languages of an artifact that names none, as the shipped one."""


def check_languages(codes: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of a model's languages.

    Raises:
        ValueError: there is none, or the detector does not know one of them. A text in that language would always count
            as another language.
    """
    checked = tuple(codes)
    if unknown := [code for code in checked if code not in LANGUAGES]:
        raise ValueError(f"unknown language {', '.join(map(repr, unknown))}; use codes such as en, ko or zh")
    if not checked:
        raise ValueError("no language; name at least one, for example en")
    return checked
