"""Methods: the catalogue, each entry with its paper, equation, formula and what is handed over."""

import streamlit as st

from app import engine

st.title("Methods")
st.markdown("What a teacher can hand over, as published. *N* images, *C* classes, *D* input values; *t* is the "
            "teacher, *s* the student, *z* are logits and *p* their softmax. Every term is a mean over the batch.")
catalogue = engine.catalogue()

for name, method in catalogue["methods"].items():
    with st.container(border=True):
        st.markdown(f"#### {method['title']}\n{method['sentence']}")
        st.latex(method["formula"], width="content")
        equations = f", eq. {method['equations']}".replace("eq. Prop", "Prop") if method["equations"] else ""
        st.caption(" · ".join([f"{method['paper']}{equations}", *method["rows"], f"`{name}`"])
                   + f"\n\n**Suits:** {method['suits']}")

st.subheader("Terms")
st.markdown("The parts that methods are made of; their weights and settings can be changed on **Train**.")
for term in catalogue["terms"].values():
    with st.expander(f"{term['title']} — {term['sentence']}"):
        st.latex(term["formula"], width="content")
        st.caption(f"{term['paper']}" + (f", {term['equation']}" if term["equation"] else ""))
        for setting, schema in term["fields"].items():
            st.markdown(f"**{setting}** (default {schema['default']}): {schema['description']}")
