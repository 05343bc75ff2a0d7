/* All tests of the devnet in one process, for meson. */
import './commp.test.mjs';
import './replay.test.mjs';
import './store.test.mjs';
