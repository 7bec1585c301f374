# A single-node Braid. See docker-compose.yml for how to run it.
#
# The server listens on every interface of the container without authentication: publish the port on
# the host's loopback interface only, or put an authenticating proxy before it.

# This image has what the crates' C and C++ parts need: compilers, and make for jemalloc. The gRPC
# contract in proto/ is compiled without protoc.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY crates crates
COPY eval eval
COPY ingest ingest
COPY proto proto
COPY xtask xtask
RUN cargo build --locked --profile dist --package braid --bin braid

# ONNX Runtime, of a version and a SHA-256 that ort.py pins.
FROM python:3.12-slim-bookworm AS runtime-library
COPY scripts/get-ort.sh scripts/ort.py /scripts/
RUN library="$(sh /scripts/get-ort.sh)" && cp "$library" /libonnxruntime.so

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent braid \
    && install -d -o braid -g braid /data
WORKDIR /opt/braid
# For servers that Braid calls with TLS, as a Qdrant of its own domain; the slim image has none.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/dist/braid /usr/local/bin/braid
COPY --from=runtime-library /libonnxruntime.so /usr/local/lib/libonnxruntime.so
COPY models models
COPY scripts/healthcheck.sh /usr/local/bin/braid-healthcheck
ENV BRAID_ORT_LIB=/usr/local/lib/libonnxruntime.so
USER 10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["bash", "/usr/local/bin/braid-healthcheck"]
ENTRYPOINT ["braid"]
CMD ["serve", "--data-dir", "/data", "--listen", "0.0.0.0:8080", "--allow-unauthenticated"]
