/* All tests of the devnet in one process, for meson. */
import './commp.test.mjs';
import './faults.test.mjs';
import './money.test.mjs';
import './replay.test.mjs';
import './retrieval.test.mjs';
import './rpc.test.mjs';
import './store.test.mjs';
import './up.test.mjs';
