# convnet for training, from the archive that scripts/package makes:
#   docker build -f scripts/docker/train.Dockerfile --build-arg ARCHIVE=convnet-0.1.0-linux-x86_64-cpu.tar.zst -t convnet target/package
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" convnet train fashion-mnist --epochs 10
# For CUDA take the archive for CUDA, and run it with --gpus all.
FROM debian:bookworm-slim AS unpacked
ARG ARCHIVE
RUN apt-get update && apt-get install --yes --no-install-recommends zstd && rm -rf /var/lib/apt/lists/*
COPY ${ARCHIVE} /archive.tar.zst
RUN mkdir /opt/convnet && tar --use-compress-program=zstd -xf /archive.tar.zst --strip-components=1 -C /opt/convnet

FROM debian:bookworm-slim
COPY --from=unpacked /opt/convnet /opt/convnet
RUN useradd --create-home --uid 10001 convnet && install -d -o convnet -g convnet -m 1777 /work
# downloaded data sets, for any user
ENV PATH=/opt/convnet/bin:$PATH XDG_CACHE_HOME=/work/.cache
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER convnet
WORKDIR /work
ENTRYPOINT ["convnet"]
CMD ["--help"]
