// Formal only: hwflow_decode_bch corrects every pattern of up to T errors of every codeword, and where the code has an
// overall parity leaves T + 1 errors as they came and in doubt.
//
//   CHECKS   the check bits of the data bits, those of bit i at bits [(N-K)*i +: N-K]
//   LATENCY  of the decoder

`default_nettype none

module proof_bch #(
    parameter int N        = 15,
    parameter int K        = 7,
    parameter int M        = 4,
    parameter int T        = 2,
    parameter int EXTENDED = 0,
    parameter logic [(N-K)*K-1:0] CHECKS = 0,
    localparam int LATENCY = 2 * T + 5,
    localparam int CYCLE_W = $clog2(LATENCY + 1)
) (
    input wire         clk_i,
    input wire [K-1:0] data_i,
    input wire [N-1:0] error_i
);

    wire [(N-K)*(K+1)-1:0] sums;
    assign sums[N-K-1:0] = 0;
    for (genvar i = 0; i < K; i++) begin : gen_bit
        assign sums[(N-K)*(i+1)+:N-K] = sums[(N-K)*i+:N-K] ^ (CHECKS[(N-K)*i+:N-K] & {(N - K) {data_i[i]}});
    end

    // The input holds while the word goes through the decoder.
    logic [K-1:0] data_reg;
    logic [N-1:0] error_reg;
    logic [CYCLE_W-1:0] cycle_reg;
    initial cycle_reg = 0;
    always_ff @(posedge clk_i) begin
        data_reg  <= data_i;
        error_reg <= error_i;
        if (cycle_reg != CYCLE_W'(LATENCY)) cycle_reg <= cycle_reg + 1'b1;
    end

    wire [K-1:0] data, doubt;

    hwflow_decode_bch #(.N(N), .K(K), .M(M), .T(T), .EXTENDED(EXTENDED)) cell_under_proof (
        .clk_i(clk_i), .en_i(1'b1), .data_i({sums[(N-K)*K+:N-K], data_i} ^ error_i), .data_o(data), .doubt_o(doubt)
    );

    logic [7:0] errors;
    always_comb begin
        errors = 0;
        for (int i = 0; i < N; i++) errors = errors + 8'(error_i[i]);
    end

    always_comb begin
        if (cycle_reg != 0) assume (data_i == data_reg && error_i == error_reg);
        if (cycle_reg == CYCLE_W'(LATENCY)) begin
            if (errors <= T) assert (data == data_i && doubt == 0);
            if (EXTENDED != 0 && errors == T + 1) assert (data == (data_i ^ error_i[K-1:0]) && &doubt);
        end
    end

endmodule

`default_nettype wire
