# docker build --target operator -t jet-operator:dev .
# docker build --target member   -t jet-member:dev .
#
# Without Docker or a registry, e2e/kube/image builds the same targets and hands in two stages ready made:
# --build-context bin=DIR (the programs) and --build-context root=DIR (what e2e/kube/image-root writes).

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin jet-operator --bin jet-member --bin jet --bin jet-cluster-admin \
 && cd target/release && install -D -t /out jet-operator jet-member jet jet-cluster-admin

FROM scratch AS bin
COPY --from=build /out/ /

# The programs are linked to the C library of the release that built them: the same one serves them here.
FROM debian:bookworm-slim AS root-of
RUN apt-get update && apt-get install -y --no-install-recommends libc6 libgcc-s1 ca-certificates tzdata
COPY e2e/kube/image-root /image-root
RUN /image-root /root-of

FROM scratch AS root
COPY --from=root-of /root-of/ /

FROM scratch AS operator
COPY --from=root / /
COPY --from=bin /jet-operator /usr/bin/jet-operator
LABEL org.opencontainers.image.title="jet-operator" org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/usr/bin/jet-operator"]

FROM scratch AS member
COPY --from=root / /
COPY --from=bin /jet-member /usr/bin/jet-member
COPY --from=bin /jet /usr/bin/jet
COPY --from=bin /jet-cluster-admin /usr/bin/jet-cluster-admin
LABEL org.opencontainers.image.title="jet-member" org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
ENV PATH=/usr/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
ENTRYPOINT ["/usr/bin/jet-member"]
