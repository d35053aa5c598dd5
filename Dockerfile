# The app on a server, with a CUDA GPU or without: see "In a container" in README.md.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501 \
    STREAMLIT_SERVER_HEADLESS=true \
    KD_DATA=/data/images \
    KD_STORE=/data/runs

WORKDIR /app
COPY requirements.txt .
# what stands below "# tests" is for tests alone; torch comes as its CUDA build, which trains on a CPU too
RUN sed '/^# tests/,$d' requirements.txt > /tmp/requirements.txt \
 && pip install -r /tmp/requirements.txt \
 && rm /tmp/requirements.txt

COPY . .
# the app copies plotly.js to app/static when it starts; all else of /app is root's and stays as it is
RUN python -m compileall -q app kdcore pages \
 && useradd --create-home apprentice \
 && install -d -o apprentice -g apprentice app/static /data

USER apprentice
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['STREAMLIT_SERVER_PORT']}/_stcore/health\", timeout=4)"]

# the worker first, so that runs which were under way go on before anybody opens a page; when the container is stopped, or
# the web server ends, both are told to end, and runs keep where they are
CMD ["sh", "-c", "trap : TERM INT; python -m kdcore worker --stay & worker=$!; streamlit run app/main.py & wait $!; kill $worker $!; wait"]
