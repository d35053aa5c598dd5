"""The browser side: Streamlit and Plotly, no torch."""
