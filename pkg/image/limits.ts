/** Bounds on what an image, an archive or a registry may make this host do. */

const MIB = 1024 * 1024;

/** Docker's own bound is 127; overlayfs takes 500. */
export const MAX_LAYERS = 256;
export const MAX_MANIFEST_BYTES = 4 * MIB;
export const MAX_CONFIG_BYTES = 8 * MIB;
/** Unpacked size of one layer: beyond it an archive is taken for a bomb. */
export const MAX_LAYER_BYTES = 64 * 1024 * MIB;
/** All bytes of an archive once decompressed. */
export const MAX_ARCHIVE_BYTES = 256 * 1024 * MIB;
export const MAX_ARCHIVE_ENTRIES = 20_000;
/** Manifests that one index may list. */
export const MAX_INDEX_MANIFESTS = 1_000;
/** Indexes inside indexes. */
export const MAX_INDEX_DEPTH = 4;

export const PARALLEL_DOWNLOADS = 3;
export const PARALLEL_UNPACKS = 2;

/** Until a registry answers with headers. */
export const RESPONSE_TIMEOUT_MS = 30_000;
/** In which a transfer must bring at least so many bytes: one that trickles would hold up all other pulls for ever. */
export const STALL_TIMEOUT_MS = 30_000;
export const STALL_MIN_BYTES = 4096;
/** Attempts in a row that brought less than STALL_MIN_BYTES before a transfer gives up. */
export const MAX_ATTEMPTS = 5;
export const RETRY_FIRST_MS = 250;
export const RETRY_MAX_MS = 8_000;
export const MAX_REDIRECTS = 5;
export const MAX_TOKEN_BYTES = MIB;
/** Of what a registry says, in an error: it becomes part of a pod's status and of events. */
export const MAX_TOLD_PLATFORMS = 10;
export const MAX_TOLD_LENGTH = 64;
