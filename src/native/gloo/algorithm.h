// libtorch comes without gloo's headers, and with c10d's, which include them. These say of gloo's types what c10d's headers ask for,
// and no more: nothing here is made or called by convnet, so that no layout of gloo's is relied on.
#pragma once
