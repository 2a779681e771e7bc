# convnet as a server of one model, from the archive that scripts/package makes:
#   docker build -f scripts/docker/serve.Dockerfile --build-arg ARCHIVE=convnet-0.1.0-linux-x86_64-cpu.tar.zst -t convnet-serve target/package
#   docker run --rm -p 127.0.0.1:8000:8000 -e CONVNET_TOKEN="$(openssl rand -hex 32)" -v "$PWD/models:/models:ro" convnet-serve
FROM debian:bookworm-slim AS unpacked
ARG ARCHIVE
RUN apt-get update && apt-get install --yes --no-install-recommends zstd && rm -rf /var/lib/apt/lists/*
COPY ${ARCHIVE} /archive.tar.zst
RUN mkdir /opt/convnet && tar --use-compress-program=zstd -xf /archive.tar.zst --strip-components=1 -C /opt/convnet

FROM debian:bookworm-slim
COPY --from=unpacked /opt/convnet /opt/convnet
RUN useradd --create-home --uid 10001 convnet
ENV PATH=/opt/convnet/bin:$PATH
USER convnet
WORKDIR /home/convnet
EXPOSE 8000
# bash has sockets: the image needs no curl
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["convnet", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/models/model"]
